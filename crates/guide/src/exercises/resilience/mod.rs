//! The exercises about calls to others and about protection: what a retry, a breaker and a limit get wrong.
//!
//! `provider` is a provider outside that fails in known ways; `listed` has all exercises.

mod degraded;
mod half_open;
mod listed;
mod overload;
mod predicted;
mod provider;
mod shared_limit;
mod storm;
mod unknown;

#[path = "../../../exercises/resilience_4/mod.rs"]
mod resilience_4;
#[path = "../../../exercises/resilience_5/mod.rs"]
mod resilience_5;
#[path = "../../../exercises/resilience_6/mod.rs"]
mod resilience_6;
#[path = "../../../exercises/resilience_7/mod.rs"]
mod resilience_7;
#[path = "../../../exercises/resilience_8/mod.rs"]
mod resilience_8;

pub(crate) use listed::EXERCISES;
