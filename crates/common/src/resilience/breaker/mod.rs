//! Whether a destination is worth a call, judged by how the last ones went.
//!
//! [`Breaker`] gives leave; `machine` decides, `window` keeps the calls that it judges by, `view` has what is seen of it
//! from outside. It does no I/O. Who runs it says what time it is, and is told of its transitions; only a [`Permit`] that
//! is dropped reads the clock.

mod breakers;
mod circuit;
mod machine;
#[cfg(test)]
mod model_tests;
mod options;
mod view;
mod window;

pub use breakers::Breakers;
pub use circuit::{Breaker, Permit};
pub use machine::{Rejected, Verdict};
pub use options::BreakerOptions;
pub use view::{BreakerMode, BreakerState, BreakerView, Transition};
pub use window::Counted;
