//! How a conversation with the mail server failed, and how far it had come.

use std::fmt;

use common::tls;
use lettre::transport::smtp::Error;

use super::verdict::{Enhanced, Stage, Verdict, verdict};

/// Why a mail was not taken. Shows codes only: a server's words may repeat the address.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) stage: Stage,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The server said no: its code, the enhanced one (RFC 3463) where it gave one, and its words.
    Reply {
        code: u16,
        enhanced: Option<Enhanced>,
        words: Words,
    },
    /// Nothing in time.
    Silence,
    /// The connection broke or made no sense.
    Broken(&'static str),
    /// TLS failed, so the server is not known to be the one that was meant. Holds what is to be done, where that is known.
    Untrusted(Option<&'static str>),
    /// The server does not offer what the mail or the settings need.
    Unsupported(&'static str),
}

/// What a server said. It may repeat an address or a text: for the record of the delivery, and for no log line.
struct Words(String);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(..)")
    }
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server said no; the verdict says what its refusal is about.
    Refused(Verdict),
    /// The server is not there, or was lost before any mail began: at connecting, at TLS or at signing in.
    Away,
    /// The text was being sent or had gone, and no answer came.
    Unknown,
    /// The conversation broke before the text.
    Broken,
}

impl Failure {
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

    /// TLS did not come about.
    pub(super) fn of_tls(error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            stage: Stage::Connect,
            what: What::Untrusted(tls::cure(error)),
        }
    }

    /// The server lacks what the mail needs, for its sender or its recipient.
    pub(super) fn unsupported(stage: Stage, what: &'static str) -> Self {
        let what = What::Unsupported(what);
        Self { stage, what }
    }

    /// What it means for the mail and for those after it.
    pub(super) fn meaning(&self) -> Meaning {
        match (&self.what, self.stage) {
            (What::Reply { code, enhanced, .. }, stage) => Meaning::Refused(verdict(stage, *code, *enhanced)),
            // It may pass: the server, the settings or the recipient's address may change.
            (What::Unsupported(_), Stage::Recipient) => Meaning::Refused(Verdict::Later),
            (What::Unsupported(_), _) => Meaning::Refused(Verdict::Relay),
            (_, Stage::Connect | Stage::Login) => Meaning::Away,
            (_, Stage::Text) => Meaning::Unknown,
            _ => Meaning::Broken,
        }
    }

    /// Whether the conversation can go on: the server answered, and did not say that it closes.
    pub(super) fn leaves_whole(&self) -> bool {
        match self.what {
            What::Reply { code, .. } => code != 421,
            What::Unsupported(_) => true,
            What::Silence | What::Broken(_) | What::Untrusted(_) => false,
        }
    }

    /// The server's whole reply, if there was one. It may hold personal data: see [`Words`].
    pub(super) fn reply(&self) -> Option<String> {
        match &self.what {
            What::Reply { code, words, .. } => Some(format!("{code} {}", words.0).trim_end().to_owned()),
            _ => None,
        }
    }

    /// Whether somebody was there.
    pub(super) fn reached_a_server(&self) -> bool {
        match (&self.what, self.stage) {
            (What::Reply { .. } | What::Untrusted(_) | What::Unsupported(_), _) => true,
            (What::Silence | What::Broken(_), stage) => stage != Stage::Connect,
        }
    }

    /// What is to be done about it, where that is known.
    pub(super) fn cure(&self) -> Option<&'static str> {
        match self.what {
            What::Untrusted(cure) => cure,
            _ => None,
        }
    }

    /// For the span: few values.
    pub(super) fn kind(&self) -> String {
        match &self.what {
            What::Reply { code, .. } => code.to_string(),
            What::Silence => "timeout".to_owned(),
            What::Broken(_) => "connection".to_owned(),
            What::Untrusted(_) => "tls".to_owned(),
            What::Unsupported(_) => "unsupported".to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = name(self.stage);
        match &self.what {
            What::Reply {
                code,
                enhanced: Some(enhanced),
                ..
            } => write!(f, "{code} {enhanced} at {stage}"),
            What::Reply {
                code, enhanced: None, ..
            } => write!(f, "{code} at {stage}"),
            What::Silence => write!(f, "no answer in time at {stage}"),
            What::Broken(how) => write!(f, "{how} at {stage}"),
            What::Untrusted(None) => write!(f, "TLS failed at {stage}"),
            What::Untrusted(Some(cure)) => write!(f, "TLS failed at {stage}: {cure}"),
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
                enhanced: words.as_deref().and_then(Enhanced::at_start_of),
                words: Words(words.unwrap_or_default()),
            };
        }
        if error.is_client() {
            return Self::Unsupported("the mail server does not offer what the settings ask for");
        }
        if let Some(cure) = tls::cure(error) {
            return Self::Untrusted(Some(cure));
        }
        if error.is_tls() {
            return Self::Untrusted(None);
        }
        Self::Broken(if error.is_response() {
            "the connection ended"
        } else {
            "the connection failed"
        })
    }
}

/// The stage by the SMTP command that people know it by.
const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connecting",
        Stage::Login => "AUTH",
        Stage::Sender => "MAIL FROM",
        Stage::Recipient => "RCPT TO",
        Stage::Data => "DATA",
        Stage::Text => "the text",
    }
}
