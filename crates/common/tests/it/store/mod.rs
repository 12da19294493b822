//! The store: one contract for Redis and memory, faults, addresses, the cache that stands on it, and what several
//! replicas see.

mod address;
mod cache;
mod contract;
mod faults;
mod lock;
mod own;
mod replicas;
mod sentinel;
mod strategies;
