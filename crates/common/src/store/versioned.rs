//! The wire form of a value that carries its version.
//!
//! `w1|<version, 19 digits>|<v or t>|<value>`: fixed width and text, so that a script on the server
//! compares versions as strings of digits (Lua numbers lose precision above 2^53) and a person
//! reads it with `redis-cli`. `t` is a tombstone. Anything that does not look like this counts as
//! absent, so an older or foreign form is a miss and is overwritten.

use bytes::Bytes;

/// Format mark; another one is a miss.
pub(super) const MARK: &str = "w1|";
const DIGITS: usize = 19;
const KIND_AT: usize = MARK.len() + DIGITS + 1;
/// Bytes before the value.
pub(super) const HEADER: usize = KIND_AT + 2;

/// A value with its version, or the mark that it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Version of the row that the value was made from.
    pub version: u64,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// A version as its digits stand in the header.
pub(super) fn digits(version: u64) -> String {
    // Versions are database BIGINTs, so 19 digits hold them all.
    format!("{:0DIGITS$}", version.min(i64::MAX.unsigned_abs()))
}

pub(super) fn encode(version: u64, value: Option<&[u8]>) -> Vec<u8> {
    let kind = if value.is_some() { 'v' } else { 't' };
    let mut encoded = format!("{MARK}{}|{kind}|", digits(version)).into_bytes();
    encoded.extend_from_slice(value.unwrap_or_default());
    encoded
}

pub(super) fn decode(mut bytes: Bytes) -> Option<Versioned> {
    let header = bytes.get(..HEADER)?;
    let text = std::str::from_utf8(header).ok()?;
    let digits = text.strip_prefix(MARK)?.get(..DIGITS)?;
    let version = digits.parse().ok()?;
    let is_value = match &text[KIND_AT - 1..] {
        "|v|" => true,
        "|t|" => false,
        _ => return None,
    };
    let value = bytes.split_off(HEADER);
    Some(Versioned {
        version,
        value: is_value.then_some(value),
    })
}

/// Whether `new` may stand where `current` stands: the rule that the script on Redis repeats.
pub(super) fn may_replace(current: &[u8], new: &[u8]) -> bool {
    let version = |bytes: &[u8]| -> Option<(Vec<u8>, bool)> {
        let header = bytes.get(..HEADER)?;
        header.starts_with(MARK.as_bytes()).then(|| {
            let digits = header[MARK.len()..MARK.len() + DIGITS].to_vec();
            (digits, header[KIND_AT] == b't')
        })
    };
    match (version(current), version(new)) {
        (Some((have, gone)), Some((offered, _))) => have < offered || (have == offered && !gone),
        _ => true,
    }
}

/// Whether what stands there was made from a version below `version`, or is none of ours.
pub(super) fn is_older(current: &[u8], version: u64) -> bool {
    let have = current.get(MARK.len()..MARK.len() + DIGITS);
    !current.starts_with(MARK.as_bytes()) || have.is_none_or(|have| have < digits(version).as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(version in 0..=i64::MAX.unsigned_abs(), value: Option<Vec<u8>>) {
            let encoded = encode(version, value.as_deref());
            let decoded = decode(encoded.into());
            prop_assert_eq!(decoded, Some(Versioned { version, value: value.map(Into::into) }));
        }

        #[test]
        fn foreign_bytes_are_a_miss_and_never_a_panic(bytes: Vec<u8>) {
            let _ = may_replace(&bytes, &encode(1, None));
            prop_assume!(!bytes.starts_with(MARK.as_bytes()));
            prop_assert_eq!(decode(bytes.into()), None);
        }

        #[test]
        fn only_a_version_at_least_as_high_replaces(have in 0_u64..100, offered in 0_u64..100) {
            let current = encode(have, Some(b"old"));
            prop_assert_eq!(may_replace(&current, &encode(offered, Some(b"new"))), offered >= have);
            let gone = encode(have, None);
            prop_assert_eq!(may_replace(&gone, &encode(offered, Some(b"new"))), offered > have);
        }
    }
}
