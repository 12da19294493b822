//! Input that breaks rules: every field is read, and all that break one are named in one answer.

use super::{FieldError, Problem, kinds};

/// The rule that a value breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// Stable name of the rule, for programs.
    pub code: &'static str,
    /// What the value must be, for people.
    pub detail: &'static str,
}

/// The violations of one request, collected field by field. Becomes a 422 that names them all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<FieldError>);

impl Violations {
    /// A single violation: the rule that the field at `pointer` (RFC 6901) breaks.
    pub fn one(pointer: &str, violation: Violation) -> Self {
        let mut broken = Self::default();
        broken.note::<()>(pointer, Err(violation));
        broken
    }

    /// Takes the value of the field at `pointer` (RFC 6901), or notes the rule that it breaks.
    pub fn note<T>(&mut self, pointer: &str, parsed: Result<T, Violation>) -> Option<T> {
        parsed
            .map_err(|Violation { code, detail }| {
                self.0.push(FieldError {
                    pointer: pointer.to_owned(),
                    code,
                    detail: detail.to_owned(),
                });
            })
            .ok()
    }

    /// The same for a field that may be left out: `Some(None)` when it was.
    pub fn note_optional<T>(&mut self, pointer: &str, parsed: Option<Result<T, Violation>>) -> Option<Option<T>> {
        self.note(pointer, parsed.transpose())
    }

    /// What was read, unless something was noted.
    ///
    /// # Errors
    /// All that was noted.
    pub fn unless_broken<T>(self, read: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(read) } else { Err(self) }
    }
}

impl From<Violations> for Problem {
    fn from(violations: Violations) -> Self {
        Self::new(&kinds::VALIDATION).errors(violations.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_SHORT: Violation = Violation {
        code: "too-short",
        detail: "must have at least 1 character",
    };

    #[test]
    fn all_fields_that_break_a_rule_are_named() {
        let mut violations = Violations::default();
        assert_eq!(violations.note("/a", Ok(1)), Some(1));
        assert_eq!(violations.note::<u8>("/b", Err(TOO_SHORT)), None);
        assert_eq!(violations.note_optional::<u8>("/c", None), Some(None));
        assert_eq!(violations.note_optional::<u8>("/d", Some(Err(TOO_SHORT))), None);
        assert_eq!(Violations::default().unless_broken(1), Ok(1));
        let problem = Problem::from(violations.unless_broken(1).unwrap_err());
        let pointers: Vec<_> = problem
            .field_errors()
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!((problem.kind().status, pointers), (422, vec!["/b", "/d"]));
    }
}
