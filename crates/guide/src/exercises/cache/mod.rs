//! The exercises of the first note: cache-aside, and what goes wrong with it.
//!
//! `profiles` is the trait that a learner's code implements in three of them; `listed` has them all.

mod absent;
mod lease;
mod listed;
mod outage;
mod predicted;
mod profiles;
mod stale_set;
mod stampede;

#[path = "../../../exercises/cache_4/mod.rs"]
mod cache_4;
#[path = "../../../exercises/cache_5/mod.rs"]
mod cache_5;
#[path = "../../../exercises/cache_6/mod.rs"]
mod cache_6;
#[path = "../../../exercises/cache_7/mod.rs"]
mod cache_7;

pub(crate) use listed::EXERCISES;
