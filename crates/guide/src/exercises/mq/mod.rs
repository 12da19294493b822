//! The exercises of the second note: messages between services, and what goes wrong with them.
//!
//! `listed` has them all. Two are run on Waypost's own consumer (`house`), one on a Waypost that runs. Two of those that a
//! learner writes stand on a small database and a small broker that can fail (`office`), two need neither.

mod copies;
mod dual_write;
mod house;
mod listed;
mod office;
mod outage;
mod overtaking;
mod poison;
mod predicted;
#[cfg(test)]
mod wrong_tests;

#[path = "../../../exercises/mq_4/mod.rs"]
mod mq_4;
#[path = "../../../exercises/mq_5/mod.rs"]
mod mq_5;
#[path = "../../../exercises/mq_6/mod.rs"]
mod mq_6;
#[path = "../../../exercises/mq_7/mod.rs"]
mod mq_7;

pub(crate) use listed::EXERCISES;
