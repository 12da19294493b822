//! The store: one contract for Redis and memory, faults, and the cache that stands on it.

mod cache;
mod contract;
mod faults;
