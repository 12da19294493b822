//! How many requests may be under way at a time, found from how long they take.
//!
//! Too many at once help nobody: beyond what the machine and what it asks can do at a time, each more only makes all
//! wait. What that number is, nobody knows beforehand. So it is found as a TCP sender finds its window: by comparing how
//! long requests take with how long they take alone. The algorithm is the gradient of
//! [Netflix's concurrency-limits](https://github.com/Netflix/concurrency-limits) in the form that
//! [Envoy's adaptive concurrency filter](https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter)
//! gave it; `gradient.rs` says where this one differs, and why.
//!
//! A [`ConcurrencyLimit`] takes the time as an argument and answers at once: it never waits, and a refusal costs a lock
//! and some arithmetic. It knows no HTTP.

mod gradient;
mod limit;
#[cfg(test)]
mod simulation_tests;

pub use gradient::ConcurrencyOptions;
pub use limit::{ConcurrencyLimit, InFlight, Outcome, Overloaded, Priority};
