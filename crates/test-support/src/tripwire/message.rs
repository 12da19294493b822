//! What both protocols have in common: a stream is a row of messages, each with its length.

/// A whole message, as it came.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// What it says, where a point may ask for that; empty for all other messages.
    pub(super) says: String,
    /// Whether it ends an answer.
    pub(super) is_last: bool,
}

/// Reads the messages of one direction of one connection.
pub(super) trait Reads: Send {
    /// Takes the first message off what came, when it is whole.
    fn next(&mut self, came: &mut Vec<u8>) -> Option<Message>;
}

/// The first so many bytes, taken away.
pub(super) fn take(came: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    (came.len() >= length).then(|| came.drain(..length).collect())
}

/// The number of four bytes that stands there, as a length.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(number)).ok()
}
