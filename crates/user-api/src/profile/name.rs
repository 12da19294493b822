//! The name that a person wants to be called by.

use common::http::Violation;
use utoipa::openapi::schema::ObjectBuilder;

use serde_json::json;

use super::text::{described_text, personal_text, text};

/// Most characters of a name.
const MOST: usize = 100;

/// One line with something on it.
const PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$";

fn form() -> ObjectBuilder {
    text("Name as the person writes it: no control characters, and more than blanks.")
        .min_length(Some(1))
        .max_length(Some(MOST))
        .pattern(Some(PATTERN))
        .examples([json!("Ada")])
}

/// 1 to 100 characters on one line, without blanks around them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

personal_text!(Name);
described_text!(Name);

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self, Violation> {
        // Checked before the blanks are cut: a name must not bring a line break along, at its end either.
        if text.chars().any(breaks_a_line) {
            return Err(Violation {
                code: "control-characters",
                detail: "must not contain control characters",
            });
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(Violation {
                code: "too-short",
                detail: "must have at least 1 character that is not a blank",
            });
        }
        if text.chars().count() > MOST {
            return Err(Violation {
                code: "too-long",
                detail: "must have at most 100 characters",
            });
        }
        Ok(Self(text.to_owned()))
    }
}

fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_taken() {
        for text in ["Ada", "王小明", "Ngô Thị Ánh", "O'Hara-Smith", &"é".repeat(100)] {
            assert_eq!(Name::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Name::parse("  Ada ").unwrap().as_str(), "Ada");
    }

    #[test]
    fn empty_long_and_broken_names_are_refused() {
        for (text, code) in [
            ("", "too-short"),
            ("   ", "too-short"),
            (&*"a".repeat(101), "too-long"),
            ("Ada\r\nBcc: eve", "control-characters"),
            ("Ada\n", "control-characters"),
            ("A\u{0}da", "control-characters"),
            ("A\u{2028}da", "control-characters"),
        ] {
            assert_eq!(Name::parse(text).unwrap_err().code, code, "{text:?}");
        }
    }
}
