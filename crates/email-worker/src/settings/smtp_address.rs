//! A mail server's address, taken apart: for the worker, and for whoever asks whether it is there.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
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
    /// Takes the text of `mail.url` apart.
    ///
    /// # Errors
    /// A text that says why it is no address of a mail server, without any part of it: a part may be a password.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let url = Url::parse(url).map_err(|_| "it can't be read as a URL")?;
        login(&url)?;
        Self::of(&url)
    }

    /// As [`Self::parse`], without a look at user and password ([`login`]).
    pub(crate) fn of(url: &Url) -> Result<Self, &'static str> {
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

/// User and password of the URL, decoded; `None` for a URL with neither.
pub(crate) fn login(url: &Url) -> Result<Option<(String, String)>, &'static str> {
    let Some(password) = url.password() else {
        return if url.username().is_empty() {
            Ok(None)
        } else {
            Err("it has a user and no password: write user:password@, or leave both out")
        };
    };
    Ok(Some((decoded(url.username())?, decoded(password)?)))
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Cow::into_owned)
        .map_err(|_| "its user or password is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brackets_of_ipv6_are_the_url_s_alone() {
        for (url, host, port) in [
            ("smtp://[::1]", "::1", 25),
            ("smtp://[2001:db8::1]:2525?tls=required", "2001:db8::1", 2525),
            ("smtps://me:word@[::1]", "::1", 465),
        ] {
            let address = SmtpAddress::parse(url).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
        }
        assert!(SmtpAddress::parse("smtp://::1").is_err());
    }

    #[test]
    fn a_user_has_a_password() {
        for url in [
            "smtp://me@mail.test",
            "smtps://me:@mail.test",
            "smtp://me:%ff@mail.test",
        ] {
            assert!(SmtpAddress::parse(url).is_err(), "{url}");
        }
        let login = |url: &str| login(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(login("smtp://mail.test"), None);
        assert_eq!(
            login("smtp://ann%40x:p%2Fw@mail.test"),
            Some(("ann@x".to_owned(), "p/w".to_owned()))
        );
    }
}
