//! What a read is answered with, by whom, and how old it is.

use std::{borrow::Cow, error::Error, sync::Arc};

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

/// Why a layer answered a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It held a fresh value.
    Hit,
    /// No layer above held one.
    Miss,
    /// What the layers above held was not fresh any more.
    Stale,
    /// The layers above could not be read, or not be trusted.
    Bypass,
    /// A fresh value was not to be had in time, so that the last one known was answered.
    FailSafe,
}

impl Reason {
    /// As it stands in a span.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Bypass => "bypass",
            Self::FailSafe => "failsafe",
        }
    }
}

/// The answer to a read, where it came from, and why from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The value; `None`: there is none.
    pub found: Option<Cached>,
    /// Who answered.
    pub layer: Layer,
    /// Why.
    pub reason: Reason,
    /// For how many seconds the answer stays fresh; below zero, for how many it has not been fresh any more.
    pub fresh_for: i64,
}

impl Read {
    /// Says in the request's span which layer answered, why, and for how many seconds that stays fresh.
    pub fn show_in(&self, span: &tracing::Span) {
        span.record("waypost.cache.layer", self.layer.label());
        span.record("waypost.cache.reason", self.reason.label());
        span.record("waypost.cache.ttl", self.fresh_for);
    }

    /// The value of the header `Cache-Status` (RFC 9211).
    pub fn cache_status(&self) -> Cow<'static, str> {
        let hit = match self.layer {
            Layer::InProcess => "waypost-l1; hit",
            Layer::Store => "waypost-redis; hit",
            Layer::Database => {
                return match self.reason {
                    Reason::Stale => "waypost-redis; fwd=stale",
                    Reason::Bypass => "waypost-redis; fwd=bypass",
                    Reason::Hit | Reason::Miss | Reason::FailSafe => "waypost-redis; fwd=miss",
                }
                .into();
            }
        };
        let mut ttl = itoa::Buffer::new();
        let detail = match self.reason {
            Reason::FailSafe => "; detail=failsafe",
            _ => "",
        };
        [hit, "; ttl=", ttl.format(self.fresh_for), detail].concat().into()
    }
}
