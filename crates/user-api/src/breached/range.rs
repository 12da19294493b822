//! A password's hash in two parts, and a range of hashes as a service answers it. Pure.
//!
//! The service is told the first five digits of a hash (SHA-1). It knows a thousand hashes or more that begin so, and
//! answers with all of them. It does not learn which one was meant, nor whether that one is among them.

use bytes::{BufMut, BytesMut};
use sha1::{Digest, Sha1};

/// Bytes of an answer that are read: the longest ranges have some 2,000 lines of some 40 bytes, padding included.
pub(super) const MOST_BYTES: usize = 256 * 1024;
const MOST_LINES: usize = 4_000;
/// Digits of a hash behind the five of its prefix.
const SUFFIX_DIGITS: usize = 35;
/// How many of these digits are compared and kept: the first 12, which are 48 bits. In a range of 2,000 hashes, about one of
/// 100 billion passwords that are not in it is taken for one that is.
const KEPT_DIGITS: usize = 12;
const KEPT_BYTES: usize = KEPT_DIGITS / 2;

/// The hash of a password, as far as it is of use here. It is shown to nobody.
pub(super) struct Hash {
    /// The five digits that the service is told.
    pub(super) prefix: String,
    rest: u64,
}

impl Hash {
    pub(super) fn of(password: &str) -> Self {
        let digest = Sha1::digest(password.as_bytes());
        let first = digest
            .iter()
            .take(16)
            .fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
        let rest = first << 20 >> (128 - 8 * KEPT_BYTES);
        Self {
            prefix: format!("{:05X}", first >> 108),
            rest: u64::try_from(rest).unwrap_or_default(),
        }
    }
}

/// The answer is no range of hashes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the answer is no range of hashes")]
pub(super) struct Garbled;

/// The hashes of one range that are known from breaches, behind their common prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range(Vec<u64>);

impl Range {
    /// Reads lines of the form `<35 digits>:<how often>`. A line with 0 is padding. An answer without any line is no range:
    /// each range has hundreds.
    pub(super) fn parse(answer: &[u8]) -> Result<Self, Garbled> {
        let text = std::str::from_utf8(answer).map_err(|_| Garbled)?;
        let mut known = Vec::new();
        let mut count = 0;
        for line in text.lines() {
            count += 1;
            let (suffix, seen) = line.split_once(':').ok_or(Garbled)?;
            let is_hash = suffix.len() == SUFFIX_DIGITS && suffix.bytes().all(|digit| digit.is_ascii_hexdigit());
            if !is_hash || count > MOST_LINES {
                return Err(Garbled);
            }
            if seen.trim_end().parse::<u64>().map_err(|_| Garbled)? > 0 {
                known.push(u64::from_str_radix(&suffix[..KEPT_DIGITS], 16).map_err(|_| Garbled)?);
            }
        }
        if count == 0 { Err(Garbled) } else { Ok(Self(known)) }
    }

    pub(super) fn contains(&self, hash: &Hash) -> bool {
        self.0.contains(&hash.rest)
    }

    /// As it is kept: six bytes a hash.
    pub(super) fn write(&self, to: &mut BytesMut) {
        to.reserve(self.0.len() * KEPT_BYTES);
        for rest in &self.0 {
            to.put_uint(*rest, KEPT_BYTES);
        }
    }

    /// Reads what [`Self::write`] wrote.
    pub(super) fn read(kept: &[u8]) -> Option<Self> {
        let hashes = kept.chunks_exact(KEPT_BYTES);
        let is_whole = hashes.remainder().is_empty();
        let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        is_whole.then(|| Self(hashes.map(number).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SHA-1 of `password` is 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8.
    const SUFFIX: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";
    const OTHER: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";

    fn knows(answer: &str, password: &str) -> bool {
        Range::parse(answer.as_bytes()).unwrap().contains(&Hash::of(password))
    }

    #[test]
    fn a_password_is_found_by_its_hash_and_told_by_five_digits() {
        assert_eq!(Hash::of("password").prefix, "5BAA6");
        let answer = format!("{OTHER}:3\r\n{SUFFIX}:9545824");
        assert!(knows(&answer, "password"));
        assert!(!knows(&answer, "another"));
        assert!(knows(&format!("{}:1\n", SUFFIX.to_lowercase()), "password"));
        // 356A192B7913B04C54574D18C28D46E6395428AB: every digit of what is kept counts.
        assert_eq!(Hash::of("1").rest, 0x92B7_913B_04C5);
    }

    #[test]
    fn padding_is_no_password() {
        assert!(!knows(&format!("{OTHER}:3\r\n{SUFFIX}:0"), "password"));
        assert!(!knows(&format!("{SUFFIX}:0"), "password"));
    }

    #[test]
    fn what_is_no_range_is_told_from_one() {
        let long = format!("{OTHER}:1\r\n").repeat(MOST_LINES + 1);
        for garbled in [
            "",
            "\r\n",
            "<html>Please log in</html>",
            "{\"status\": 200}",
            OTHER,
            &format!("{OTHER}:"),
            &format!("{OTHER}:many"),
            &format!("{OTHER}:-1"),
            &format!("{OTHER}:1\r\n\r\n{OTHER}:1"),
            &format!("5BAA6{OTHER}:1"),
            &format!("{}:1", &OTHER[1..]),
            &format!("{}é:1", &OTHER[2..]),
            &long,
        ] {
            assert_eq!(Range::parse(garbled.as_bytes()), Err(Garbled), "{garbled:.80}");
        }
        assert_eq!(Range::parse(b"\xff\xfe"), Err(Garbled));
        assert!(Range::parse(format!("{OTHER}:1\r\n").repeat(MOST_LINES).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(known in prop::collection::vec(0_u64..1 << 48, 0..50)) {
            let (range, mut kept) = (Range(known), BytesMut::new());
            range.write(&mut kept);
            prop_assert_eq!(Range::read(&kept), Some(range));
        }

        #[test]
        fn nothing_that_comes_is_a_panic(answer: Vec<u8>, text: String) {
            let _ = (Range::parse(&answer), Range::parse(text.as_bytes()), Range::read(&answer));
        }
    }
}
