//! The forms that values have: whole numbers, any numbers, true or false.
//!
//! The reader below takes more than it should: `1.5` for 2, `-1.0` for 0, `yes` for the number 1. So each value is looked at
//! beside the built-in one, before it is read.

use config::{Config, Value, ValueKind};

use super::ConfigError;
use super::known::{is_of, shared_key, written};
use super::table::flatten;

/// What the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Number,
    Flag,
}

impl Form {
    /// The form of a built-in value; `None`: any.
    const fn of(built_in: &Value) -> Option<Self> {
        match built_in.kind {
            ValueKind::I64(_) => Some(Self::Whole),
            ValueKind::Float(_) => Some(Self::Number),
            ValueKind::Boolean(_) => Some(Self::Flag),
            _ => None,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Whole => "a whole number of 0 or more",
            Self::Number => "a number",
            Self::Flag => "true or false",
        }
    }

    /// Whether a value has this form; one of the environment is text.
    fn has(self, value: &ValueKind) -> bool {
        match (self, value) {
            (Self::Whole, ValueKind::I64(number)) => *number >= 0,
            (Self::Number, ValueKind::Float(number)) => number.is_finite(),
            (Self::Whole | Self::Number, ValueKind::U64(_))
            | (Self::Number, ValueKind::I64(_))
            | (Self::Flag, ValueKind::Boolean(_) | ValueKind::I64(0 | 1)) => true,
            (Self::Whole, ValueKind::String(text)) => text.parse::<u64>().is_ok(),
            (Self::Number, ValueKind::String(text)) => text.parse::<f64>().is_ok_and(f64::is_finite),
            (Self::Flag, ValueKind::String(text)) => is_flag(text),
            _ => false,
        }
    }
}

/// The words that the reader takes for true and for false.
fn is_flag(text: &str) -> bool {
    const WORDS: [&str; 8] = ["true", "yes", "on", "1", "false", "no", "off", "0"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Refuses a value that has not the form of the built-in one (`100`: a whole number of 0 or more; `100.0`: any number). Sections
/// that the program does not read are looked at too, so that a file which all share is refused by each.
///
/// # Errors
/// [`ConfigError::Rule`] of the first one, without its value.
pub(super) fn refuse_other_forms(merged: &Config) -> Result<(), ConfigError> {
    let mut forms = Vec::new();
    flatten(&written()?, "", &mut |key, value| {
        if let Some(form) = Form::of(value).filter(|_| shared_key(key) == key) {
            forms.push((key.to_owned(), form));
        }
    });
    let given = merged.cache.clone().into_table().map_err(ConfigError::Value)?;
    let mut first = Ok(());
    flatten(&given, "", &mut |key, value| {
        let known = forms.iter().find(|(known, _)| is_of(known, key));
        let Some((_, form)) = known.filter(|(_, form)| !form.has(&value.kind)) else {
            return;
        };
        if first.is_ok() {
            let origin = value.origin().unwrap_or("settings");
            first = Err(ConfigError::Rule {
                key: key.to_owned(),
                problem: format!("must be {} (from {origin})", form.expected()),
            });
        }
    });
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_what_says_no_less_and_no_more() {
        let text = |text: &str| ValueKind::String(text.to_owned());
        for (form, has, has_not) in [
            (
                Form::Whole,
                vec![ValueKind::I64(0), text("10")],
                vec![
                    ValueKind::I64(-1),
                    ValueKind::Float(1.5),
                    ValueKind::Boolean(true),
                    text("1.5"),
                    text("-1"),
                    text("yes"),
                    text(""),
                ],
            ),
            (
                Form::Number,
                vec![ValueKind::Float(0.5), ValueKind::I64(-1), text("0.5"), text("10")],
                vec![
                    ValueKind::Float(f64::NAN),
                    ValueKind::Boolean(true),
                    text("inf"),
                    text("on"),
                ],
            ),
            (
                Form::Flag,
                vec![ValueKind::Boolean(false), ValueKind::I64(1), text("Yes"), text("0")],
                vec![ValueKind::I64(2), ValueKind::Float(1.0), text("2"), text("maybe")],
            ),
        ] {
            for value in has {
                assert!(form.has(&value), "{form:?}: {value:?}");
            }
            for value in has_not {
                assert!(!form.has(&value), "{form:?}: {value:?}");
            }
        }
    }
}
