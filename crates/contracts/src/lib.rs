//! What crosses a border between services: messages, and the queues that carry them.
//!
//! This crate is a leaf. It knows how a message looks ([`events`]), what stands in its headers ([`envelope`]), which
//! queue receives which type ([`topology`]) and which languages all texts are in ([`Language`]). It does no I/O and
//! holds no rule of any service. A published type never changes its meaning: a change that a consumer would notice is
//! a new version (`user.registered.v2`) beside the old one. The golden files in `tests/it/golden/` hold each version
//! to its bytes.
#![warn(missing_docs)]

pub mod envelope;
pub mod events;
mod language;
pub mod topology;

pub use envelope::{Event, EventData};
pub use language::Language;
