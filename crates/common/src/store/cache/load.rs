//! What the database gives a cache.

use std::error::Error;

/// A value as its row holds it now.
pub struct Loaded<V> {
    /// Version of the row.
    pub version: u64,
    /// What is cached.
    pub value: V,
}

/// What a load may fail with.
pub type LoadError = Box<dyn Error + Send + Sync>;
