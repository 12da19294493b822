//! What a read is answered with, by whom, and how old it is.

use std::{borrow::Cow, error::Error, sync::Arc, time::Duration};

use bytes::Bytes;

/// Why a read has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The load failed and nothing stale is left to answer with.
    #[error("the value could not be loaded")]
    Failed(#[source] Arc<dyn Error + Send + Sync>),
    /// The load, or the wait for its turn, took too long.
    #[error("the value was not loaded in time")]
    TimedOut,
}

/// A layer that can answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// This process.
    InProcess,
    /// The store.
    Store,
    /// The database.
    Database,
}

impl Layer {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::InProcess => "l1",
            Self::Store => "redis",
            Self::Database => "database",
        }
    }
}

/// A value's bytes as they are answered, with the version that they show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// Version of the row.
    pub version: u64,
    /// JSON of the value.
    pub bytes: Bytes,
}

/// The answer to a read, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The value; `None`: there is none.
    pub found: Option<Cached>,
    /// Who answered.
    pub layer: Layer,
    /// For how long the answer has not been fresh any more.
    pub stale_for: Option<Duration>,
}

impl Read {
    /// The value of the header `Cache-Status` (RFC 9211).
    pub fn cache_status(&self) -> Cow<'static, str> {
        let status = match self.layer {
            Layer::InProcess => "waypost-l1; hit",
            Layer::Store => "waypost-redis; hit",
            Layer::Database => "waypost-redis; fwd=miss",
        };
        match self.stale_for {
            Some(age) => format!("{status}; ttl=-{}; detail=failsafe", age.as_secs()).into(),
            None => status.into(),
        }
    }
}
