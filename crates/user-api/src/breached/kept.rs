//! What the service answered before, in the store: fresh for a day, and kept for the days on which there is no other answer.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use common::{
    Timestamp,
    store::{Store, StoreError},
};

use super::range::Range;

/// For this long an answer counts, and nobody is asked again.
const FRESH: Duration = Duration::from_hours(24);
/// For this long the last answer is kept, in case the service gives no other.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Seconds by which the clocks of replicas may differ.
const CLOCKS_DIFFER: i64 = 60;
/// Marks the form of what is kept. A value with another mark counts as absent.
const MARK: &[u8] = b"r1";

/// The answers of the service by prefix. All replicas share them.
#[derive(Clone)]
pub(super) struct KeptRanges(Store);

/// An answer, and whether it still is as good as a new one.
pub(super) struct KeptRange {
    pub(super) range: Range,
    pub(super) is_fresh: bool,
}

impl KeptRanges {
    pub(super) const fn new(store: Store) -> Self {
        Self(store)
    }

    /// The last answer. `None` also while the store is away.
    pub(super) async fn get(&self, prefix: &str, now: Timestamp) -> Option<KeptRange> {
        decode(&self.0.get(&key(prefix)).await.ok()??, now)
    }

    pub(super) async fn put(&self, prefix: &str, range: &Range, now: Timestamp) -> Result<(), StoreError> {
        self.0.set(&key(prefix), &encode(range, now), KEPT).await
    }
}

fn key(prefix: &str) -> String {
    format!("breached:{prefix}")
}

fn encode(range: &Range, now: Timestamp) -> Bytes {
    let mut bytes = BytesMut::from(MARK);
    bytes.put_i64(now.as_seconds());
    range.write(&mut bytes);
    bytes.freeze()
}

fn decode(bytes: &[u8], now: Timestamp) -> Option<KeptRange> {
    let mut rest = bytes.strip_prefix(MARK)?;
    let asked_at = rest.try_get_i64().ok()?;
    let age = now.as_seconds().saturating_sub(asked_at);
    Some(KeptRange {
        range: Range::read(rest)?,
        // An answer from further in the future comes from a clock that is wrong: it is not fresh.
        is_fresh: (-CLOCKS_DIFFER..i64::try_from(FRESH.as_secs()).unwrap_or(i64::MAX)).contains(&age),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fresh_for_a_day_and_known_for_longer() {
        let range = Range::parse(b"1E4C9B93F3F0682250B6CF8331B7EE68FD8:2").unwrap();
        let asked = 1_800_000_000;
        let after = |seconds: i64| Timestamp::from_micros((asked + seconds) * 1_000_000);
        let bytes = encode(&range, after(0));
        for (seconds, is_fresh) in [
            (-61, false),
            (-60, true),
            (0, true),
            (86_399, true),
            (86_400, false),
            (2_500_000, false),
        ] {
            let kept = decode(&bytes, after(seconds)).unwrap();
            assert_eq!((kept.range, kept.is_fresh), (range.clone(), is_fresh), "{seconds}");
        }
        for foreign in [
            &b""[..],
            b"r1",
            b"r1short",
            b"r2\0\0\0\0\0\0\0\0",
            b"r1\0\0\0\0\0\0\0\0x",
        ] {
            assert!(decode(foreign, after(0)).is_none(), "{foreign:?}");
        }
    }
}
