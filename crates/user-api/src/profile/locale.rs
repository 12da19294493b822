//! The language that a person is written to in.

use contracts::Language;

/// Most bytes of a tag; RFC 5646 asks for at least 35.
const MOST: usize = 35;

/// A BCP 47 tag of a language that there are texts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locale(String);

impl Locale {
    /// Never fails: what is not known becomes `en`.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        text.and_then(known)
            .map_or_else(|| Self(Language::En.subtag().to_owned()), Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tag in its usual case (`zh-Hans-CN`), when it is well formed and its language is known.
fn known(text: &str) -> Option<String> {
    if text.len() > MOST {
        return None;
    }
    let mut subtags = text.split(['-', '_']);
    let language = subtags.next()?.to_ascii_lowercase();
    if !Language::ALL.iter().any(|known| known.subtag() == language) {
        return None;
    }
    let mut is_extension = false;
    subtags.try_fold(language, |tag, subtag| {
        let well_formed = (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric());
        if !well_formed {
            return None;
        }
        // What follows a singleton is of an extension, and all lower case (RFC 5646, 2.1.1).
        is_extension |= subtag.len() == 1;
        let subtag = if is_extension {
            subtag.to_ascii_lowercase()
        } else {
            usual_case(subtag)
        };
        Some(format!("{tag}-{subtag}"))
    })
}

fn usual_case(subtag: &str) -> String {
    match subtag.len() {
        2 => subtag.to_ascii_uppercase(),
        4 => subtag[..1].to_ascii_uppercase() + &subtag[1..].to_ascii_lowercase(),
        _ => subtag.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_language_is_kept_with_its_region() {
        let parse = |text| Locale::parse(Some(text)).as_str().to_owned();
        assert_eq!(parse("en"), "en");
        assert_eq!(parse("zh"), "zh");
        assert_eq!(parse("zh-cn"), "zh-CN");
        assert_eq!(parse("ZH_hant_tw"), "zh-Hant-TW");
        assert_eq!(parse("EN-us-U-CA-Buddhist-x-TEST"), "en-US-u-ca-buddhist-x-test");
    }

    #[test]
    fn anything_else_is_english() {
        assert_eq!(Locale::parse(None).as_str(), "en");
        for text in [
            "",
            "xx",
            "tlh",
            "en-",
            "zh-\u{4e2d}",
            "zh-\u{4e2d}x",
            "zh-toolongsubtag",
            &"en-".repeat(20),
        ] {
            assert_eq!(Locale::parse(Some(text)).as_str(), "en", "{text:?}");
        }
    }
}
