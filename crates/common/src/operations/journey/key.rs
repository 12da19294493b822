//! The key by which a journey is asked for.

use uuid::Uuid;

use crate::http::Violation;

/// Most characters: an address has 254.
const LONGEST: usize = 320;
/// Digits of a trace's id.
const TRACE_DIGITS: usize = 32;

/// An address, a number, or the id of a person, an event, a delivery or a trace.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Takes a key of 1 to 320 characters without control characters; blanks around it are cut.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, Violation> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > LONGEST || text.chars().any(char::is_control) {
            return Err(Violation {
                code: "length",
                detail: "must have 1 to 320 characters on one line",
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as the id of a person, an event or a delivery; `None` when it is no UUID. A trace's id reads as one, too.
    pub fn id(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok()
    }

    /// The key as the id of a trace, in lower case; `None` when it does not have 32 hexadecimal digits.
    pub(super) fn trace_id(&self) -> Option<String> {
        let is_one = self.0.len() == TRACE_DIGITS && self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_one.then(|| self.0.to_ascii_lowercase())
    }
}

impl std::fmt::Debug for Key {
    /// It may be an address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_and_a_trace_are_known_by_their_form() {
        let of = |text: &str| Key::parse(text).unwrap();
        let trace = of("0AF7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.trace_id().as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        let id = of(" 0190a5b2-0000-7000-8000-000000000001 ");
        assert!(id.id().is_some() && id.trace_id().is_none());
        let address = of("ada@example.com");
        assert!(address.id().is_none() && address.trace_id().is_none());
        for bad in ["", " ", "a\nb", &"a".repeat(LONGEST + 1)] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
    }
}
