//! mq-4: what the learner edits, and a way to do it.

pub(crate) mod skeleton;
pub(crate) mod solution;
