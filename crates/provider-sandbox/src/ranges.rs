//! Breached passwords by range, as the API of Pwned Passwords has them.
//!
//! A range is all hashes (SHA-1) that begin with the same five hexadecimal digits. The ranges here have the most common
//! passwords, one that tests know, and made-up hashes, so that each is as full as a real one. They never change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sha1::{Digest, Sha1};

/// A breached password that is none of the common ones.
const KNOWN_TO_TESTS: &str = "Waypost-breached-1!";
/// Made-up hashes in each range.
const MADE_UP: u32 = 500;
/// Lines of a range with padding: the first number at least, and at most as many more as the second one says.
const PADDED: (usize, usize) = (800, 200);
const PREFIX_DIGITS: usize = 5;
/// How often the most common password was seen. The second was seen half as often, the third a third as often, and so on.
const MOST_OFTEN: u64 = 10_000_000;

static COMMON: LazyLock<BTreeMap<String, Vec<Line>>> = LazyLock::new(|| {
    let mut ranges = BTreeMap::<String, Vec<Line>>::new();
    for (place, password) in (1..).zip(common_passwords::most_common().chain([KNOWN_TO_TESTS])) {
        let (prefix, suffix) = hash(password);
        let seen = MOST_OFTEN / place;
        ranges.entry(prefix).or_default().push(Line { suffix, seen });
    }
    ranges
});

/// Hashes the common passwords now, so that the first request does not wait for it.
pub(crate) fn prepare() {
    LazyLock::force(&COMMON);
}

/// The rest of a hash, and how often its password was seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    suffix: String,
    seen: u64,
}

/// The five digits that a range's hashes begin with.
pub(crate) struct Prefix(String);

impl Prefix {
    /// Reads five hexadecimal digits, in upper or lower case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == PREFIX_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_one.then(|| Self(text.to_ascii_uppercase()))
    }

    /// Its range as it is answered: a line `suffix:count` for each hash, sorted, with CR LF between.
    pub(crate) fn range(&self) -> String {
        written(self.lines())
    }

    /// The same range, filled up with lines of count 0, which stand for no password, to 800 to 1,000 lines: the length of
    /// the answer does not tell which range was asked for.
    pub(crate) fn padded_range(&self) -> String {
        let mut lines = self.lines();
        let (least, spread) = PADDED;
        let length = least + lines[0].suffix.bytes().map(usize::from).sum::<usize>() % (spread + 1);
        let padding = (MADE_UP..).map(|number| Line {
            seen: 0,
            ..self.made_up(number)
        });
        lines.extend(padding.take(length.saturating_sub(lines.len())));
        written(lines)
    }

    fn lines(&self) -> Vec<Line> {
        let made_up = (0..MADE_UP).map(|number| self.made_up(number));
        let common = COMMON.get(&self.0).into_iter().flatten().cloned();
        made_up.chain(common).collect()
    }

    fn made_up(&self, number: u32) -> Line {
        let (prefix, suffix) = hash(&format!("made up {} {number}", self.0));
        let seen = prefix.bytes().map(u64::from).sum::<u64>() % 100;
        Line { suffix, seen: seen + 1 }
    }
}

fn written(mut lines: Vec<Line>) -> String {
    lines.sort_unstable();
    let lines = lines.iter().map(|Line { suffix, seen }| format!("{suffix}:{seen}"));
    lines.collect::<Vec<_>>().join("\r\n")
}

/// Both parts of a password's hash.
fn hash(password: &str) -> (String, String) {
    let mut digits = format!("{:X}", Sha1::digest(password));
    let suffix = digits.split_off(PREFIX_DIGITS);
    (digits, suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_common_passwords_and_500_hashes_that_are_always_the_same() {
        let range = Prefix::parse("5baa6").unwrap().range();
        assert!(range.contains("1E4C9B93F3F0682250B6CF8331B7EE68FD8:2500000"), "{range}");
        let lines: Vec<_> = range.split("\r\n").collect();
        assert!(lines.len() > 500 && lines.is_sorted());
        assert_eq!(Prefix::parse("5BAA6").unwrap().range(), range);
        assert_eq!(Prefix::parse("00000").unwrap().lines().len(), 500);
    }

    #[test]
    fn padding_stands_for_no_password_and_fills_up_to_a_number_between_800_and_1000() {
        for prefix in ["5BAA6", "00000", "ABCDE", "FFFFF"] {
            let prefix = Prefix::parse(prefix).unwrap();
            let (range, padded) = (prefix.range(), prefix.padded_range());
            let (real, padding): (Vec<_>, Vec<_>) = padded.split("\r\n").partition(|line| !line.ends_with(":0"));
            assert_eq!(real.join("\r\n"), range);
            assert!((800..=1000).contains(&(real.len() + padding.len())));
        }
    }

    #[test]
    fn what_is_no_prefix_is_none() {
        for none in ["", "5BAA", "5BAA61", "5BAAG", "５BAA6", "5BAA\u{e9}"] {
            assert!(Prefix::parse(none).is_none(), "{none}");
        }
    }
}
