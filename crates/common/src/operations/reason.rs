//! Why somebody does something to a service.

use crate::http::Violation;

/// Most characters of a reason.
const MOST: usize = 500;

/// Why somebody does something: 1 to 500 characters on one line, without the blanks around them. It may name a person, so
/// it goes into the audit and into no log line.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// Takes a text of 1 to 500 characters that stays on one line; blanks around it are cut.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        let violation = |code, detail| Err(Violation { code, detail });
        match text.chars().count() {
            0 => violation("too-short", "must say why"),
            1..=MOST if is_one_line(text) => Ok(Self(text.to_owned())),
            1..=MOST => violation("control-characters", "must not contain control characters"),
            _ => violation("too-long", "must have at most 500 characters"),
        }
    }

    /// As the audit keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reason(..)")
    }
}

/// Whether a text stays on one line of a terminal or a file: it has no control characters and no line separators.
pub(super) fn is_one_line(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_there_and_bounded() {
        assert_eq!(
            Reason::parse(" the provider asked ").unwrap().as_str(),
            "the provider asked"
        );
        assert!(Reason::parse(&"å".repeat(MOST)).is_ok());
        for (bad, code) in [
            ("", "too-short"),
            (" \n ", "too-short"),
            ("a\nb", "control-characters"),
            (&"å".repeat(MOST + 1), "too-long"),
        ] {
            assert_eq!(Reason::parse(bad).unwrap_err().code, code, "{bad:?}");
        }
    }
}
