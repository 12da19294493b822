//! The languages in which people are written to. This is the one list: sign-up takes its languages, and every text has them.

/// A language that there are texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::VariantArray)]
pub enum Language {
    /// English: what a person gets who reads none of the others.
    En,
    /// Chinese in simplified characters.
    Zh,
}

impl Language {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Its subtag in a BCP 47 tag.
    pub const fn subtag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// The language of a BCP 47 tag (`zh`, `zh-CN`, `zh_Hans_CN`); English when it is none of ours.
    ///
    /// Our Chinese texts are in simplified characters, and `zh` alone means these. A tag means traditional characters by its
    /// script (`Hant`) or, without a script, by its region (`TW`, `HK`, `MO`): it gets English, as there is no text in them.
    pub fn of(tag: &str) -> Self {
        let mut parts = tag.split(['-', '_']);
        let first = parts.next().unwrap_or_default();
        let known = Self::ALL
            .iter()
            .copied()
            .find(|known| first.eq_ignore_ascii_case(known.subtag()));
        match known {
            Some(Self::Zh) if is_traditional(&parts.collect::<Vec<_>>()) => Self::En,
            known => known.unwrap_or(Self::En),
        }
    }
}

/// Whether what follows `zh` in a tag means traditional characters: a script, where one is named, else a region.
fn is_traditional(parts: &[&str]) -> bool {
    let is_one_of = |part: &str, names: &[&str]| names.iter().any(|name| part.eq_ignore_ascii_case(name));
    let has_one_of = |names: &[&str]| parts.iter().any(|part| is_one_of(part, names));
    !has_one_of(&["Hans"]) && has_one_of(&["Hant", "TW", "HK", "MO"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_simplified_characters_gets_them_and_nobody_else_does() {
        for tag in ["zh", "zh-CN", "zh_CN", "zh-Hans", "zh-hans-TW", "zh-SG"] {
            assert_eq!(Language::of(tag), Language::Zh, "{tag}");
        }
        for tag in ["ZH-hant-TW", "zh-TW", "zh_HK", "zh-MO", "zh-Hant"] {
            assert_eq!(Language::of(tag), Language::En, "{tag}");
        }
    }

    #[test]
    fn an_unknown_language_is_served_in_english() {
        for tag in ["en", "en-GB", "de", "", "zhx", "-"] {
            assert_eq!(Language::of(tag), Language::En, "{tag}");
        }
    }
}
