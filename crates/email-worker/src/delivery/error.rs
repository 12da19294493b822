//! Why mail can't be set up, and how sending one failed.
//!
//! Every transport answers in these words, so they stand below all of them.

use std::time::Duration;

use common::tls::AuthoritiesError;

/// Why `mail.url` can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("mail.url must begin with smtp://, smtps:// or file://")]
    Scheme,
    #[error("mail.url is not an SMTP address: {0}")]
    Smtp(&'static str),
    #[error("mail.url asks for TLS that can't be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("mail.url asks for TLS that can't be set up")]
    WrappedTls(#[source] rustls::Error),
    #[error(transparent)]
    CaFile(#[from] AuthoritiesError),
    #[error("the folder of mail.url can't be made")]
    Folder(#[source] std::io::Error),
}

/// How sending a mail failed. The texts hold no address and no secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The server refused this mail or its recipient for good.
    Rejected(String),
    /// The server may take the mail later: when `after` is over, or when the schedule says.
    Temporary { error: String, after: Option<Duration> },
    /// The text was being sent or had gone, and no answer came: the mail may be on its way.
    Unknown(String),
    /// The server was not reached, or sent us away before it heard of the recipient. It is asked again when `after` is over.
    Unreachable { error: String, after: Duration },
    /// The server was not asked: it is left alone, as a whole or for this recipient's domain, or all connections are in use.
    Resting { after: Duration },
}
