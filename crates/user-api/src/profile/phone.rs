//! A phone number for text messages.

use common::http::Violation;
use utoipa::openapi::schema::ObjectBuilder;

use serde_json::json;

use super::{
    text::{described_text, personal_text, text},
    unicode::{BLANKS, trimmed},
};

fn form() -> ObjectBuilder {
    text("E.164 number; an empty one is none.")
        .pattern(Some(format!(r"^[{BLANKS}]*(\+[1-9][0-9]{{1,14}})?[{BLANKS}]*$")))
        .examples([json!("+4915112345678")])
}

/// An E.164 number: `+`, then 2 to 15 digits, the first not 0.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Phone(String);

personal_text!(Phone);
described_text!(Phone);

impl Phone {
    pub(crate) fn parse(text: &str) -> Result<Self, Violation> {
        let text = trimmed(text);
        let digits = text.strip_prefix('+').unwrap_or_default();
        let holds =
            (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if holds {
            return Ok(Self(text.to_owned()));
        }
        Err(Violation {
            code: "invalid-phone",
            detail: "must be in the international form E.164, such as +4915112345678",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_international_form_is_taken() {
        assert!(Phone::parse("+4915112345678").is_ok());
        assert_eq!(
            Phone::parse(" +123456789012345\u{a0}").unwrap().as_str(),
            "+123456789012345"
        );
        for bad in [
            "",
            "+",
            "+1",
            "015112345678",
            "+0151",
            "+49 151",
            "+1234567890123456",
            "+49a51",
        ] {
            assert!(Phone::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
