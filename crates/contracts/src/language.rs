//! The languages that people are written to in: the one list, for what is taken at sign-up and for every text.

/// A language that there are texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English, which everybody gets who reads none of the others.
    En,
    /// Chinese in simplified characters.
    Zh,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// Its subtag in a BCP 47 tag.
    pub const fn subtag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// The language of a BCP 47 tag (`zh`, `zh-CN`, `zh_Hans_CN`); English when it is none of ours.
    ///
    /// Ours is Chinese in simplified characters, which `zh` alone means as well. Who reads traditional ones, by the script or by
    /// the region where the tag names no script, gets English until there is a text in them.
    pub fn of(tag: &str) -> Self {
        let mut parts = tag.split(['-', '_']);
        if !parts.next().is_some_and(|language| language.eq_ignore_ascii_case("zh")) {
            return Self::En;
        }
        let is_one_of = |part: &str, names: &[&str]| names.iter().any(|name| part.eq_ignore_ascii_case(name));
        let parts: Vec<&str> = parts.collect();
        if parts.iter().any(|part| is_one_of(part, &["Hans"])) {
            return Self::Zh;
        }
        if parts.iter().any(|part| is_one_of(part, &["Hant", "TW", "HK", "MO"])) {
            return Self::En;
        }
        Self::Zh
    }
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
