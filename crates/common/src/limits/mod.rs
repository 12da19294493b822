//! Rate limits: how much one caller may ask for, over all replicas and without a round trip for most requests.
//!
//! [`Limiter`] decides. A caller who is over their limit is refused in this process until their time is up; one within it
//! draws a few tokens at a time from the store (`held` says what they are good for), one by one in the last fifth of
//! the burst. So there is never more than the limit over all replicas while Redis is up. While it is away, each replica
//! goes on by itself from what it knew, and nothing fails.
//!
//! [`SharedRate`] is the same for what we ask of others: one rate, kept by all replicas together.
//!
//! [`Class`] is what a request counts towards, [`Subject`] who is counted. How one number holds either algorithm is said in
//! [`Quota`](crate::resilience::Quota). Nothing here knows HTTP, spawns a task, or waits for more than the store; `http`
//! asks, and makes people wait.

mod class;
mod decision;
mod held;
mod limiter;
mod shared_rate;
mod subject;

pub use class::Class;
pub use decision::{Decision, Policy, Verdict};
pub use limiter::{Clock, Limiter};
pub use shared_rate::SharedRate;
pub use subject::Subject;
