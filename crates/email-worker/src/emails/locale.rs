//! The languages that mails are written in.

/// A language that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locale {
    En,
    Zh,
}

impl Locale {
    /// The language of a BCP 47 tag (`zh`, `zh-CN`, `zh_Hans_CN`); English when it is none of ours.
    pub(super) fn of(tag: &str) -> Self {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") {
            Self::Zh
        } else {
            Self::En
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_or_a_script_does_not_change_the_language() {
        for tag in ["zh", "zh-CN", "ZH-hant-TW", "zh_CN"] {
            assert_eq!(Locale::of(tag), Locale::Zh, "{tag}");
        }
    }

    #[test]
    fn an_unknown_language_is_served_in_english() {
        for tag in ["en", "en-GB", "de", "", "zhx", "-"] {
            assert_eq!(Locale::of(tag), Locale::En, "{tag}");
        }
    }
}
