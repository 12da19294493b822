//! The store: short-lived shared state (cache, locks, rate limits) behind one URL.
//!
//! Why: replicas share what they have read, and an embedded process needs the same operations with
//! no server installed. So a [`Store`] is Redis or memory, chosen by URL, and one contract suite
//! (`tests/it/store/contract.rs`) holds both to the same meaning.
//!
//! What it must not become: a dependency of correctness. Every command has a deadline ([`Timeouts::response`], 50 ms
//! unless set), and after three failures in a row a breaker has the next ones fail at once ([`StoreError::Away`]);
//! callers fall back to the database. Nothing here may be the only copy of anything. It heals by itself.
//!
//! `address` takes the URL apart, `dialer` finds and dials the node that takes writes (`sentinel` asks who
//! that is), `slots` hold what was dialled, and `upkeep` keeps them filled.

mod address;
pub mod cache;
mod dialer;
mod draw;
mod error;
mod lock;
mod memory;
mod operations;
mod redis;
mod sentinel;
mod slots;
mod subscription;
mod timeouts;
mod tls;
mod upkeep;
mod versioned;

pub use self::{
    cache::{Cache, CacheKey, CacheOptions},
    error::{OpenError, StoreError},
    lock::{Guard, Locks},
    operations::Store,
    subscription::{Heard, Lost, Subscription},
    timeouts::Timeouts,
    versioned::Versioned,
};
