//! One cached value: until when it is fresh, until when it is kept, and its bytes.
//!
//! In the store it is `<format, 3 digits>|<epoch>|<fresh until>|<kept until>|<bytes>` behind the version's
//! header, times in microseconds. Another format is a miss; with another epoch it is only a last resort.

use bytes::Bytes;

use super::{Cached, Layer, Read, Reason};
use crate::{Timestamp, store::Versioned};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u64,
    /// The store's epoch when this was written to it.
    pub(super) epoch: u64,
    pub(super) fresh_until: Timestamp,
    pub(super) kept_until: Timestamp,
    /// `None`: known not to be there.
    pub(super) value: Option<Bytes>,
}

impl Entry {
    /// "Not there" as of `version`, which no older value replaces.
    pub(super) fn absent(version: u64, epoch: u64, until: Timestamp) -> Self {
        Self {
            version,
            epoch,
            fresh_until: until,
            kept_until: until,
            value: None,
        }
    }

    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until
    }

    /// Whether it may be answered for want of anything better.
    pub(super) fn is_kept(&self, now: Timestamp) -> bool {
        now < self.kept_until
    }

    pub(super) fn answer(&self, layer: Layer, reason: Reason, now: Timestamp) -> Read {
        let found = self.value.clone().map(|bytes| Cached {
            version: self.version,
            bytes,
        });
        Read {
            found,
            layer,
            reason,
            fresh_for: self.fresh_until.as_micros().saturating_sub(now.as_micros()) / 1_000_000,
        }
    }

    /// The form for the store; `None` for "not there", which is a tombstone.
    pub(super) fn encode(&self, format: u8) -> Option<Vec<u8>> {
        let value = self.value.as_ref()?;
        let (fresh, kept) = (self.fresh_until.as_micros(), self.kept_until.as_micros());
        let mut encoded = format!("{format:03}|{}|{fresh}|{kept}|", self.epoch).into_bytes();
        encoded.extend_from_slice(value);
        Some(encoded)
    }

    /// Reads the store's form. A tombstone carries no epoch, and is taken for one of `epoch`.
    pub(super) fn decode(versioned: Versioned, format: u8, epoch: u64, now: Timestamp) -> Option<Self> {
        let version = versioned.version;
        let Some(bytes) = versioned.value else {
            // The store drops a tombstone at its end, so while it is seen it holds.
            let until = now + std::time::Duration::from_secs(1);
            return Some(Self::absent(version, epoch, until));
        };
        let mut fields = bytes.splitn(5, |byte| *byte == b'|');
        let mut field = || std::str::from_utf8(fields.next()?).ok();
        if field()?.parse() != Ok(format) {
            return None;
        }
        let epoch = field()?.parse().ok()?;
        let mut time = || Some(Timestamp::from_micros(field()?.parse().ok()?));
        let (fresh_until, kept_until) = (time()?, time()?);
        let value = bytes.slice_ref(fields.next()?);
        (now < kept_until).then_some(Self {
            version,
            epoch,
            fresh_until,
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
            epoch: 9,
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
        let decoded = Entry::decode(stored(&entry(now), 3), 3, 9, now);
        assert_eq!(decoded, Some(entry(now)));
    }

    #[test]
    fn another_format_or_an_ended_life_is_a_miss() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        assert_eq!(Entry::decode(stored(&entry(now), 3), 4, 9, now), None);
        let later = now + Duration::from_hours(24);
        assert_eq!(Entry::decode(stored(&entry(now), 3), 3, 9, later), None);
    }

    #[test]
    fn an_answer_after_the_fresh_life_says_for_how_long_it_is_stale() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let answer = entry(now).answer(Layer::Store, Reason::FailSafe, now + Duration::from_secs(330));
        let status = answer.cache_status();
        assert_eq!(status, "waypost-redis; hit; ttl=-30; detail=failsafe");
    }
}
