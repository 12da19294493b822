//! An address for mail.

use common::http::Violation;
use email_address::{EmailAddress, Options};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use serde_json::json;

use super::text::{described_text, personal_text, text};

/// RFC 5321, 4.5.3.1: 64 before the `@`, 255 behind it, and 254 in all (256 with the brackets).
const MOST: usize = 254;

/// The same rule for the API's description: dotted atoms of 64 characters at most, and a domain of two labels at least.
const PATTERN: &str = r"^(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

fn form() -> ObjectBuilder {
    text("Address for mail; ASCII, without quotes.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(MOST))
        .pattern(Some(PATTERN))
        .examples([json!("ada@example.com")])
}

/// An address that SMTP can carry, as the person wrote it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

personal_text!(Email);
described_text!(Email);

impl Email {
    /// Takes an ASCII address with a full domain: no display name, no address literal.
    pub(crate) fn parse(text: &str) -> Result<Self, Violation> {
        let options = Options {
            minimum_sub_domains: 2,
            allow_domain_literal: false,
            allow_display_text: false,
        };
        // The length first, so that nothing long is ever taken apart.
        let fits = text.len() <= MOST && text.is_ascii();
        // A quoted local part may hold blanks and more; hardly anybody has one, and few servers take it.
        let plain = !text.contains(['"', '\\']);
        if fits && plain && EmailAddress::parse_with_options(text, options).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err(Violation {
            code: "invalid-email",
            detail: "must be an email address such as name@example.com",
        })
    }

    /// What makes an address unique: its lower-case form.
    pub(crate) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_addresses_are_taken_as_they_are() {
        for text in ["ada@example.com", "Ada.L+news@mail.example.co.uk", "o'hara@example.org"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_mail_cannot_carry_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", "example.".repeat(40));
        let bad = [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@[127.0.0.1]",
            "a b@example.com",
            "Ada <ada@example.com>",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example..com",
            " ada@example.com",
            "\"a b\"@example.com",
            "ädä@example.com",
            &long_local,
            &long,
        ];
        for text in bad {
            assert!(Email::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn the_key_ignores_case() {
        let key = Email::parse("ADA@Example.COM").unwrap().key();
        assert_eq!(key, "ada@example.com");
    }

    proptest! {
        #[test]
        fn what_is_taken_never_holds_a_blank_or_a_control_character(text in ".{0,40}@[a-z.\\s]{0,20}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(email.as_str().chars().all(|c| c.is_ascii_graphic()));
            }
        }
    }
}
