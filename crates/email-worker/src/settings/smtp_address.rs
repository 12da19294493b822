//! A mail server's address, taken apart: for the worker, and for whoever asks whether it is there.

use url::Url;

/// Ports by what is spoken there (RFC 5321, RFC 6409, RFC 8314).
const PLAIN_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const WRAPPED_PORT: u16 = 465;

/// How a conversation with a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `smtp://`: not at all.
    None,
    /// `smtp://..?tls=opportunistic`: when the server offers STARTTLS.
    Offered,
    /// `smtp://..?tls=required`: STARTTLS or nothing.
    Required,
    /// `smtps://`: from the first byte.
    Wrapped,
}

/// Where a mail server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpAddress {
    /// A name or an address, without the brackets that belong to a URL.
    pub host: String,
    /// The port that the URL names, or the usual one for how it is encrypted.
    pub port: u16,
    /// How it is spoken to.
    pub encryption: Encryption,
}

impl SmtpAddress {
    /// Takes a URL of `mail.url` apart.
    ///
    /// # Errors
    /// A text that says why the URL is no address of a mail server, without any part of it: a part may be a password.
    pub fn of(url: &Url) -> Result<Self, &'static str> {
        let host = url
            .host_str()
            .map(|host| host.trim_matches(['[', ']']))
            .filter(|host| !host.is_empty())
            .ok_or("it names no host")?;
        let tls = url
            .query_pairs()
            .find(|(key, _)| key == "tls")
            .map(|(_, value)| value.into_owned());
        let (encryption, port) = match (url.scheme(), tls.as_deref()) {
            ("smtp", None) => (Encryption::None, PLAIN_PORT),
            ("smtp", Some("opportunistic")) => (Encryption::Offered, SUBMISSION_PORT),
            ("smtp", Some("required")) => (Encryption::Required, SUBMISSION_PORT),
            ("smtps", _) => (Encryption::Wrapped, WRAPPED_PORT),
            _ => return Err("tls must be `required` or `opportunistic`"),
        };
        Ok(Self {
            host: host.to_owned(),
            port: url.port().unwrap_or(port),
            encryption,
        })
    }
}
