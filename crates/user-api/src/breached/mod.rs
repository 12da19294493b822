//! Passwords that are known from breaches: whether a new one is among them, and what follows from that.
//!
//! Who tries other people's passwords tries those first. So a new password is looked up, in this order: among the most
//! common ones, which the program has; in what a service answered before (`kept`); at the service. The service is told
//! five digits of a hash (`range`), never the password or all of the hash. A service that is slow or gone keeps nobody
//! out: its last answer counts for thirty days, and without one the password is taken, which is counted (`outcome`).
//!
//! Nothing here shows a password or its hash to a log, a span or a metric.

mod check;
mod kept;
mod outcome;
mod range;

pub(crate) use self::check::{BreachedPasswords, DESTINATION};
