//! What a test tells the server to answer, and when.

use std::time::Duration;

/// The points of a conversation where a script may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The greeting after connecting.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before the text.
    Data,
    /// The dot after the text.
    Text,
}

/// How the server answers at a stage.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) after: Duration,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Say(u16, String),
    Nothing,
    Close,
    Endless,
}

impl Answer {
    /// A reply. 421 closes the connection after it.
    pub fn say(code: u16, text: &str) -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Say(code, text.to_owned()),
        }
    }

    /// No reply, ever; the connection stays open. At [`Stage::Text`] the mail is kept all the same.
    pub fn nothing() -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Nothing,
        }
    }

    /// The connection is closed instead. At [`Stage::Text`] the mail is kept all the same.
    pub fn close() -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Close,
        }
    }

    /// A reply whose line never ends, as fast as the client takes it. At [`Stage::Text`] the mail is kept all the same.
    pub fn endless() -> Self {
        Self {
            after: Duration::ZERO,
            what: What::Endless,
        }
    }

    /// The same, this much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}
