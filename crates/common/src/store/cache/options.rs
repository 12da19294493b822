//! How long a cache keeps what, and how much it may ask of the database.

use std::time::Duration;

/// Lives and bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheOptions {
    /// How long the in-process layer answers. Changes of other replicas reach it at once; should one not, for
    /// whatever reason, this is the end of it.
    pub in_process: Duration,
    /// Most bytes that the in-process layer holds.
    pub in_process_bytes: u64,
    /// How long an entry is fresh; up to a tenth is taken off by chance, so that entries made together do not end
    /// together.
    pub fresh: Duration,
    /// After this part of its fresh life, a read has an entry refreshed in the background.
    pub ageing_after: f64,
    /// How long an entry is kept, to be answered when the database is slow or away.
    pub stale: Duration,
    /// How long "not there" is remembered.
    pub absent: Duration,
    /// How long a deleted value's mark stands against slow readers.
    pub tombstone: Duration,
    /// Loads at a time: what the database is asked to bear when the store is away.
    pub loads: usize,
    /// How long a reader waits for a load when a stale value is there instead.
    pub soft_deadline: Duration,
    /// Longest wait for a load, its place in the queue included.
    pub deadline: Duration,
    /// How long nobody tries to refresh a stale value again after that failed.
    pub rest: Duration,
    /// How long the right to load a key stays with a replica that died over it; zero: each replica loads for itself.
    pub lease: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            in_process: Duration::from_secs(30),
            in_process_bytes: 32 * 1024 * 1024,
            fresh: Duration::from_mins(5),
            ageing_after: 0.8,
            stale: Duration::from_hours(24),
            absent: Duration::from_secs(5),
            tombstone: Duration::from_mins(1),
            loads: 16,
            soft_deadline: Duration::from_millis(50),
            deadline: Duration::from_secs(1),
            rest: Duration::from_secs(30),
            lease: Duration::from_millis(500),
        }
    }
}
