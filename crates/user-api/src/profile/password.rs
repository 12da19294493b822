//! A new password, before it is hashed.

use common::http::Violation;
use secrecy::{ExposeSecret, SecretString};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use super::{
    text::{described_text, text},
    unicode::opaque,
};

/// Fewest and most characters. The upper bound makes an endless text cheap to refuse.
const FEWEST: usize = 8;
pub(crate) const MOST: usize = 256;

described_text!(Password);

fn form() -> ObjectBuilder {
    text("A new password; characters that look the same and mean the same count as the same. One that others know is refused.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(FEWEST))
        .max_length(Some(MOST))
}

/// 8 to 256 characters of any kind, in the form in which passwords are compared; wiped from memory when dropped.
#[derive(Debug, Clone)]
pub(crate) struct Password(SecretString);

impl Password {
    pub(crate) fn parse(secret: &SecretString) -> Result<Self, Violation> {
        let typed = secret.expose_secret();
        // The length first: any further look takes the longer the text is.
        if typed.chars().nth(MOST).is_some() {
            return Err(Violation {
                code: "too-long",
                detail: "must have at most 256 characters",
            });
        }
        let compared = SecretString::from(opaque(typed));
        if compared.expose_secret().chars().count() < FEWEST {
            return Err(Violation {
                code: "too-short",
                detail: "must have at least 8 characters",
            });
        }
        Ok(Self(compared))
    }

    pub(crate) const fn as_secret(&self) -> &SecretString {
        &self.0
    }

    pub(crate) fn into_secret(self) -> SecretString {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_length_is_counted_in_characters() {
        let parse = |text: &str| Password::parse(&text.to_owned().into()).map(|_| ());
        assert!(parse("密码密码密码密码").is_ok());
        assert!(parse(&"x".repeat(256)).is_ok());
        assert_eq!(parse(&"e\u{301}".repeat(7)).unwrap_err().code, "too-short");
        assert_eq!(parse("1234567").unwrap_err().code, "too-short");
        assert_eq!(parse(&"x".repeat(257)).unwrap_err().code, "too-long");
    }

    #[test]
    fn it_is_not_shown() {
        let password = Password::parse(&"correct horse".to_owned().into()).unwrap();
        assert!(!format!("{password:?}").contains("horse"));
    }
}
