//! What keeps one failing dependency from taking the rest along: pure state machines, no I/O.
//!
//! Each takes the time as an argument and answers at once (only in a [`Bulkhead`] may a caller wait), so that a
//! rejection costs nothing and a test needs no waiting: [`Backoff`] says how long to wait, [`RetryBudget`] whether a
//! retry may be made at all, [`Breaker`] whether a destination is worth a call, [`Quota`] whether a
//! rate allows one, over state that is kept elsewhere, [`Bulkhead`] whether a place is free,
//! [`ConcurrencyLimit`] whether one more request can be served in time. Nothing here spawns, logs
//! or knows HTTP: `outbound` puts them in order around a call.

mod backoff;
mod breaker;
mod budget;
mod bulkhead;
mod concurrency;
mod gcra;

pub use backoff::Backoff;
pub use breaker::{
    Breaker, BreakerMode, BreakerOptions, BreakerState, BreakerView, Breakers, Counted, Permit, Rejected, Transition,
    Verdict,
};
pub use budget::RetryBudget;
pub use bulkhead::{Bulkhead, Place};
pub use concurrency::{ConcurrencyLimit, ConcurrencyOptions, InFlight, Outcome, Overloaded, Priority};
pub(crate) use gcra::micros;
pub use gcra::{Drawn, Quota};
