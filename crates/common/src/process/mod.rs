//! The life of a process: owned tasks, health, the operations port, start and end.
//!
//! [`run_binary`] is the whole of a service's `main`: the command line, settings, telemetry, the service, a signal,
//! the end within a deadline. [`Tasks`] owns everything that is spawned.

mod ending;
mod health;
mod listen;
pub mod operations;
mod own_names;
mod panics;
mod run;
mod server;
mod tasks;

pub use ending::{Deadline, Ending};
pub use health::{Finding, Health, Need, Readiness, State};
pub use listen::listen;
pub use own_names::own_names;
pub(crate) use panics::last_panic_place;
pub use panics::log_panics;
pub use run::{run_binary, run_service, tell_of_weak_parts};
pub use server::{bounded, own_server};
pub use tasks::{TaskFailed, Tasks, Unfinished};

pub use crate::error_chain::chain;
pub use crate::telemetry::scope;
