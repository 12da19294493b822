//! How a conversation with the mail server failed, and how far it had come.

use std::fmt;

use lettre::transport::smtp::Error;
use tokio::time::error::Elapsed;

/// How far a conversation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connecting, greeting, TLS, authentication.
    Connect,
    Sender,
    Recipient,
    Data,
    /// The text was being sent, or had gone.
    Text,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Text => "the text",
        }
    }
}

/// Why a mail was not taken. Shows codes only: a server's words may repeat the address.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) stage: Stage,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The server said no: its code, and the enhanced one (RFC 3463) where it gave one.
    Reply { code: u16, enhanced: Option<String> },
    /// Nothing in time.
    Silence,
    /// The connection broke or made no sense.
    Broken(&'static str),
    /// It can't be asked for.
    Unsupported(&'static str),
}

impl Failure {
    /// The value of a step that was done in time.
    pub(super) fn unless_done<T>(stage: Stage, step: Result<Result<T, Error>, Elapsed>) -> Result<T, Self> {
        match step {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Self::of(stage, &error)),
            Err(_) => Err(Self::silence(stage)),
        }
    }

    /// What the library says.
    pub(super) fn of(stage: Stage, error: &Error) -> Self {
        let what = What::of(error);
        Self { stage, what }
    }

    /// No answer in time.
    pub(super) fn silence(stage: Stage) -> Self {
        let what = What::Silence;
        Self { stage, what }
    }

    /// The connection broke, in these words.
    pub(super) fn broken(stage: Stage, how: &'static str) -> Self {
        let what = What::Broken(how);
        Self { stage, what }
    }

    /// The server lacks what the mail needs.
    pub(super) fn unsupported(what: &'static str) -> Self {
        Self {
            stage: Stage::Sender,
            what: What::Unsupported(what),
        }
    }

    /// Whether the server answered: otherwise what it made of the step is unknown.
    pub(super) fn is_reply(&self) -> bool {
        matches!(self.what, What::Reply { .. } | What::Unsupported(_))
    }

    /// Whether the server said no, for good.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.what, What::Reply { code: 500.., .. })
    }

    /// Whether it will say the same again.
    pub(super) fn is_permanent(&self) -> bool {
        self.is_refusal() || matches!(self.what, What::Unsupported(_))
    }

    /// Whether the server closes the connection with this answer.
    pub(super) fn closes(&self) -> bool {
        matches!(self.what, What::Reply { code: 421, .. })
    }

    /// For the span: few values.
    pub(super) fn kind(&self) -> String {
        match &self.what {
            What::Reply { code, .. } => code.to_string(),
            What::Silence => "timeout".to_owned(),
            What::Broken(_) => "connection".to_owned(),
            What::Unsupported(_) => "unsupported".to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.stage.name();
        match &self.what {
            What::Reply {
                code,
                enhanced: Some(enhanced),
            } => write!(f, "{code} {enhanced} at {stage}"),
            What::Reply { code, enhanced: None } => write!(f, "{code} at {stage}"),
            What::Silence => write!(f, "no answer in time at {stage}"),
            What::Broken(how) => write!(f, "{how} at {stage}"),
            What::Unsupported(what) => f.write_str(what),
        }
    }
}

impl What {
    fn of(error: &Error) -> Self {
        if let Some(code) = error.status() {
            let words = std::error::Error::source(error).map(ToString::to_string);
            return Self::Reply {
                code: code.into(),
                enhanced: words.as_deref().and_then(enhanced).map(str::to_owned),
            };
        }
        Self::Broken(if error.is_tls() {
            "TLS failed"
        } else if error.is_client() {
            "the server does not offer what the settings ask for"
        } else if error.is_response() {
            "the connection ended"
        } else {
            "the connection failed"
        })
    }
}

/// The enhanced status code, such as `5.1.1`, that the words begin with.
fn enhanced(words: &str) -> Option<&str> {
    let first = words.split_whitespace().next()?;
    let mut parts = first.split('.');
    let digits = |part: Option<&str>| {
        part.is_some_and(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
    };
    (digits(parts.next()) && digits(parts.next()) && digits(parts.next()) && parts.next().is_none()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::enhanced;

    #[test]
    fn only_a_code_is_taken_from_a_servers_words() {
        assert_eq!(enhanced("5.1.1 <ann@example.org> unknown"), Some("5.1.1"));
        for words in ["<ann@example.org> unknown", "5.1 no", "ann.lee.x no", "1.2.3.4 no", ""] {
            assert_eq!(enhanced(words), None, "{words}");
        }
    }
}
