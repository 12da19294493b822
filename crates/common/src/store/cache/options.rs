//! How long a cache keeps what, and how much it may ask of the database.

use std::time::Duration;

/// Lives and bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheOptions {
    /// How long the in-process layer answers; short, because other replicas' writes do not reach it.
    pub in_process: Duration,
    /// Most bytes that the in-process layer holds.
    pub in_process_bytes: u64,
    /// How long an entry in the store is fresh; up to a tenth is taken off by chance, so that
    /// entries made together do not end together.
    pub fresh: Duration,
    /// How long an entry is kept for when the database is away.
    pub stale: Duration,
    /// How long "not there" is remembered.
    pub absent: Duration,
    /// Loads at a time: what the database is asked to bear when the store is away.
    pub loads: usize,
    /// Longest wait for a load, its place in the queue included.
    pub deadline: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            in_process: Duration::from_secs(1),
            in_process_bytes: 32 * 1024 * 1024,
            fresh: Duration::from_mins(5),
            stale: Duration::from_hours(24),
            absent: Duration::from_secs(5),
            loads: 16,
            deadline: Duration::from_secs(1),
        }
    }
}
