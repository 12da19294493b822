//! Reads that hardly touch the database: in-process, then the store, then the database.
//!
//! Why: a read that many make costs the database once. An entry is the bytes that are answered, made once, with the
//! version of the row that they were made from; a lower version never replaces a higher one, so a slow reader cannot
//! put an old value back. `aside` is the way of a read and of a write, `refresh` what one load does, `coherence` what
//! keeps replicas alike. docs/caching.md names each strategy and how to see it.
//!
//! What it must not do: fail a read that the database could answer (a store that is away is passed by), or decide
//! about rights: an answer may be a second old, or older and marked while the database is slow or away.

mod answer;
mod aside;
mod coherence;
mod entry;
mod flights;
mod layers;
mod load;
mod local;
mod options;
mod outgoing;
mod recent;
mod refresh;
mod repairs;
mod versions;

pub use self::{
    answer::{Cached, Layer, Read, ReadError, Reason},
    aside::{Cache, CacheKey, Doubt},
    load::{LoadError, Loaded},
    options::CacheOptions,
};
