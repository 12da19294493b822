//! Characters that can't be seen in a text that people type, and the one form of a text that can be typed in several.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint},
};

/// The blanks of all scripts, in a class of a pattern. A line break is none of them, and neither is a tabulator.
pub(super) const BLANKS: &str = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000";

/// Braille without a dot: no blank by its properties, but nothing is seen of it.
const BRAILLE_BLANK: char = '\u{2800}';

/// A text without the blanks around it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// A field of a form that may be left empty. One with nothing but blanks counts as empty: `None`.
pub(crate) fn given(field: Option<&str>) -> Option<&str> {
    field.filter(|text| !trimmed(text).is_empty())
}

/// Whether a character is a blank on a line: of the general category `Zs`.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether nothing is seen where this character stands alone: blanks, joiners, fillers, selectors.
pub(super) fn is_invisible(c: char) -> bool {
    is_blank(c) || c == BRAILLE_BLANK || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// A text without the characters that turn the direction of what follows them (UAX 9): a name stands before other text.
pub(super) fn without_bidi_controls(text: &str) -> Cow<'_, str> {
    let controls = CodePointSetData::new::<BidiControl>();
    if text.chars().any(|c| controls.contains(c)) {
        return text.chars().filter(|c| !controls.contains(*c)).collect();
    }
    text.into()
}

/// A password as it is compared, whatever keyboard it was typed on: mapped as RFC 8265, 4.2.2 says, but never refused.
pub(crate) fn opaque(text: &str) -> String {
    let one_kind_of_blank: String = text.chars().map(|c| if is_blank(c) { ' ' } else { c }).collect();
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(&one_kind_of_blank)
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_password_has_one_form() {
        assert_eq!(opaque("pa\u{df}wo\u{308}rt"), "pa\u{df}w\u{f6}rt");
        assert_eq!(opaque("a\u{a0}b\u{3000}c\td"), "a b c\td");
        assert_eq!(opaque("correct horse"), "correct horse");
    }

    #[test]
    fn what_is_not_seen_is_known() {
        for c in " \u{3000}\u{200b}\u{200d}\u{feff}\u{ad}\u{3164}\u{115f}\u{2800}\u{fe0f}\u{e0041}".chars() {
            assert!(is_invisible(c), "{c:?}");
        }
        for c in "a王\u{301}.\u{e000}".chars() {
            assert!(!is_invisible(c), "{c:?}");
        }
    }

    #[test]
    fn the_pattern_has_the_blanks_that_are_cut() {
        let of_pattern = |c: char| {
            matches!(
                u32::from(c),
                0x20 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000
            )
        };
        assert!(('\0'..char::MAX).all(|c| is_blank(c) == of_pattern(c)));
        assert_eq!(trimmed("\u{a0} Ada \u{3000}"), "Ada");
    }

    #[test]
    fn only_what_turns_the_direction_goes() {
        assert_eq!(without_bidi_controls("A\u{202e}ad\u{202c}\u{2067}A\u{200f}"), "AadA");
        assert_eq!(without_bidi_controls("נועה"), "נועה");
    }
}
