//! One cached value: when it was fresh until, how long it is kept, and its bytes.
//!
//! In the store it is `<format, 3 digits>|<fresh until>|<kept until>|<bytes>` behind the version's
//! header, times in microseconds. Another format is a miss.

use bytes::Bytes;

use super::{Cached, Layer, Read};
use crate::{Timestamp, store::Versioned};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) fresh_until: Timestamp,
    pub(super) kept_until: Timestamp,
    /// `None`: known not to be there.
    pub(super) value: Option<Bytes>,
}

impl Entry {
    /// "Not there": of the lowest version, so that any real one takes its place.
    pub(super) fn absent(until: Timestamp) -> Self {
        Self {
            version: 0,
            fresh_until: until,
            kept_until: until,
            value: None,
        }
    }

    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    pub(super) fn answer(&self, layer: Layer, now: Timestamp) -> Read {
        let found = self.value.clone().map(|bytes| Cached {
            version: self.version,
            bytes,
        });
        Read {
            found,
            layer,
            stale_for: (!self.is_fresh(now)).then(|| now.since(self.fresh_until)),
        }
    }

    /// The form for the store; `None` for "not there", which is a tombstone.
    pub(super) fn encode(&self, format: u8) -> Option<Vec<u8>> {
        let value = self.value.as_ref()?;
        let (fresh, kept) = (self.fresh_until.as_micros(), self.kept_until.as_micros());
        let mut encoded = format!("{format:03}|{fresh}|{kept}|").into_bytes();
        encoded.extend_from_slice(value);
        Some(encoded)
    }

    pub(super) fn decode(versioned: Versioned, format: u8, now: Timestamp) -> Option<Self> {
        let version = versioned.version;
        let Some(bytes) = versioned.value else {
            // The store drops a tombstone at its end, so while it is seen it holds.
            let until = now + std::time::Duration::from_secs(1);
            return Some(Self {
                version,
                ..Self::absent(until)
            });
        };
        let mut fields = bytes.splitn(4, |byte| *byte == b'|');
        let mut number = || -> Option<i64> { std::str::from_utf8(fields.next()?).ok()?.parse().ok() };
        if number()? != i64::from(format) {
            return None;
        }
        let (fresh_until, kept_until) = (number()?, number()?);
        let value = bytes.slice_ref(fields.next()?);
        let kept_until = Timestamp::from_micros(kept_until);
        (now < kept_until).then_some(Self {
            version,
            fresh_until: Timestamp::from_micros(fresh_until),
            kept_until,
            value: Some(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(now: Timestamp) -> Entry {
        Entry {
            version: 7,
            fresh_until: now + Duration::from_mins(5),
            kept_until: now + Duration::from_hours(24),
            value: Some(Bytes::from_static(b"{\"a\":\"x|y|z\"}")),
        }
    }

    fn stored(entry: &Entry, format: u8) -> Versioned {
        Versioned {
            version: entry.version,
            value: entry.encode(format).map(Bytes::from),
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let decoded = Entry::decode(stored(&entry(now), 3), 3, now);
        assert_eq!(decoded, Some(entry(now)));
    }

    #[test]
    fn another_format_or_an_ended_life_is_a_miss() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!(Entry::decode(stored(&entry(now), 3), 4, now), None);
        let later = now + Duration::from_hours(24);
        assert_eq!(Entry::decode(stored(&entry(now), 3), 3, later), None);
    }

    #[test]
    fn an_answer_after_the_fresh_life_says_for_how_long_it_is_stale() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let answer = entry(now).answer(Layer::Store, now + Duration::from_secs(330));
        let status = answer.cache_status();
        assert_eq!(status, "waypost-redis; hit; ttl=-30; detail=failsafe");
    }
}
