//! Cache-aside reads: in-process, then the store, then the database.
//!
//! Why: a read that many make costs the database once. An entry is the bytes that are answered, made
//! once, with the version of the row that they were made from; a lower version never replaces a
//! higher one, so a slow reader cannot put an old value back. One flight a key and process loads,
//! in a task of its own, so that a reader who goes away cancels nobody's load.
//!
//! What it must not do: fail a read that the database could answer (a store that is away is passed
//! by), or decide about rights: an answer may be seconds old, or stale while the database is away.
//! The in-process layer lives for a second: other replicas' writes are not announced to it.

mod answer;
mod aside;
mod entry;
mod flights;
mod layers;
mod load;
mod options;

pub use self::{
    answer::{Cached, Layer, Read, ReadError},
    aside::{Cache, CacheKey},
    load::{LoadError, Loaded},
    options::CacheOptions,
};
