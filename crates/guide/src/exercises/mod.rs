//! The exercises: each has a name, and a check that says in a sentence what is missing.
//!
//! `exercise` says what an exercise is, `catalog` lists all, and each theme has a folder with its checks. What a learner
//! edits stands in `crates/guide/exercises`, each skeleton beside its solution. How to add one: docs/guide/AUTHORS.md.

mod cache;
mod catalog;
mod exercise;
mod mq;
mod resilience;
mod running;
mod table;

pub use catalog::{all, find};
pub use exercise::{Attempt, Exercise, Proof, Verdict, Whose};
