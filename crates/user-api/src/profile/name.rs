//! The name that a person wants to be called by.

use common::{autolink::holds_link, http::Violation};
use utoipa::openapi::schema::ObjectBuilder;

use serde_json::json;

use super::{
    text::{described_text, personal_text, text},
    unicode::{is_invisible, trimmed, without_bidi_controls},
};

/// Most characters of a name.
const MOST: usize = 100;

/// One line with something on it that is seen.
const PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*[^\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8][^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$";

fn form() -> ObjectBuilder {
    text("Name as the person writes it: no control characters, something that is seen, and no link.")
        .min_length(Some(1))
        .max_length(Some(MOST))
        .pattern(Some(PATTERN))
        .examples([json!("Ada")])
}

/// 1 to 100 characters on one line, without blanks around them. At least one is seen, none turns the direction of the text
/// that follows, and no mail program makes a link of them.
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
        let text = without_bidi_controls(text);
        let text = trimmed(&text);
        if text.chars().all(is_invisible) {
            return Err(Violation {
                code: "too-short",
                detail: "must have at least 1 character that can be seen",
            });
        }
        if text.chars().count() > MOST {
            return Err(Violation {
                code: "too-long",
                detail: "must have at most 100 characters",
            });
        }
        // The welcome mail goes to an address that nobody has proved to be theirs, and begins with the name.
        if holds_link(text) {
            return Err(Violation {
                code: "link",
                detail: "must not contain a link, such as http://, www. or a domain with a path",
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
        for text in ["  Ada ", "\u{3000}Ada\u{a0}", "\u{202e}Ada\u{202c} ", " \u{200f} Ada"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), "Ada", "{text:?}");
        }
        for text in ["J. R. Smith", "D'Arcy", "St. John", "张伟", "Dr.Ng", "👨‍👩‍👧", "नेहा"] {
            assert_eq!(Name::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn empty_long_and_broken_names_are_refused() {
        for (text, code) in [
            ("", "too-short"),
            ("   ", "too-short"),
            ("\u{200b}\u{feff}", "too-short"),
            ("\u{3164}\u{2800}\u{115f}", "too-short"),
            ("\u{202e}", "too-short"),
            ("Win http://evil.example", "link"),
            ("www.evil.example", "link"),
            ("evil.com/prize", "link"),
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
