//! What `mail.url` names: its scheme is looked at here, once.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// What `mail.url` names.
#[derive(Debug, Clone)]
pub enum MailUrl {
    /// `file://`: a folder of this machine.
    Folder(String),
    /// `smtp://` or `smtps://`: a mail server, which [`SmtpAddress`](super::SmtpAddress) says more of.
    Server(SecretString),
    /// Nothing that mail goes to: the worker does not start with it.
    Unknown,
}

impl MailUrl {
    /// The folder, where it is one.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Server(_) | Self::Unknown => None,
        }
    }
}

impl From<String> for MailUrl {
    fn from(text: String) -> Self {
        if let Some(folder) = text.strip_prefix("file://") {
            Self::Folder(folder.to_owned())
        } else if text.starts_with("smtp://") || text.starts_with("smtps://") {
            Self::Server(text.into())
        } else {
            Self::Unknown
        }
    }
}

impl From<&str> for MailUrl {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<'de> Deserialize<'de> for MailUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_where_mail_goes_and_no_password_is_shown() {
        assert_eq!(MailUrl::from("file://mails").folder(), Some("mails"));
        for url in ["smtp://me:s3cret@mail.test", "smtps://me:s3cret@mail.test"] {
            let url = MailUrl::from(url);
            assert!(matches!(url, MailUrl::Server(_)));
            assert!(!format!("{url:?}").contains("s3cret"));
        }
        assert!(matches!(MailUrl::from("imap://mail.test"), MailUrl::Unknown));
    }
}
