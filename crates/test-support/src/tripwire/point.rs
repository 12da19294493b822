//! Where a conversation is to stop.

/// A moment in what a client and its server say to each other.
#[derive(Debug, Clone)]
pub struct Point {
    request: Vec<&'static str>,
    behind: Vec<&'static str>,
    pub(super) side: Side,
}

/// On which side of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    /// The server does not hear it.
    Before,
    /// The server has it, and says nothing to it.
    Heard,
    /// The server has answered with these words, which the client does not hear.
    After(&'static str),
}

impl Point {
    /// Right before a request that holds all these words: the client has sent it, the server does not hear it.
    ///
    /// A statement of PostgreSQL's holds its text without quotes, behind those of its transaction before it: `BEGIN; ..;
    /// COMMIT`. A frame of AMQP's is `basic.publish <exchange> <key>` or `basic.ack`.
    pub fn before(request: &[&'static str]) -> Self {
        Self::at(request, Side::Before)
    }

    /// Right after such a request: the server has answered with these words (`UPDATE 1`, `basic.ack`), which the client
    /// does not hear. What is answered otherwise (`UPDATE 0`, `basic.nack`) is carried on.
    ///
    /// One such request at a time is expected of a connection: the next answer is taken for this request's, whosever it is, and a
    /// request that comes before it is carried on and not waited for. A client that publishes the next message before the last one
    /// is confirmed needs a connection for each.
    pub fn after(request: &[&'static str], answer: &'static str) -> Self {
        Self::at(request, Side::After(answer))
    }

    /// Right after such a request, to which a server says nothing: it is on its way, and nothing comes behind it.
    pub fn heard(request: &[&'static str]) -> Self {
        Self::at(request, Side::Heard)
    }

    fn at(request: &[&'static str], side: Side) -> Self {
        Self {
            request: request.to_vec(),
            behind: Vec::new(),
            side,
        }
    }

    /// The same, for what comes behind a request that holds all these words, on whichever connection.
    #[must_use]
    pub fn behind(self, request: &[&'static str]) -> Self {
        Self {
            behind: request.to_vec(),
            ..self
        }
    }

    pub(super) fn is_for(&self, request: &str) -> bool {
        holds(request, &self.request)
    }

    /// Whether another request must come before it.
    pub(super) fn waits(&self) -> bool {
        !self.behind.is_empty()
    }

    pub(super) fn waits_for(&self, request: &str) -> bool {
        holds(request, &self.behind)
    }
}

fn holds(text: &str, words: &[&str]) -> bool {
    words.iter().all(|word| text.contains(word))
}
