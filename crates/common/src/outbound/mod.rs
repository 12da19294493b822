//! Calls out of the system: to providers, webhooks, another party's documents.
//!
//! One [`OutboundClient`] a destination, made by [`Outbound`]. Every call passes, outside in: deadline -> retry with
//! budget and jittered backoff -> circuit breaker -> rate limit -> bulkhead -> per-try timeout ->
//! the call. So every try passes the breaker and the limits, and nobody waits for a retry while holding a
//! place. `Retry-After` is obeyed. A request that is not idempotent by its method is tried again
//! only when the caller says that it may be ([`Repeat`]). Answers are read whole and bounded.
//!
//! Each layer is a middleware in a file of its own (`retry`, `breaking`, `turns` for rate and places, `attempt`), takes
//! what it decides by from [`Destination`], and tells what it decided in `decisions`.
//!
//! No client in the workspace is made elsewhere. Nothing here knows what a call is for, writes an
//! address with its query into a log or span, or follows a redirect.

mod answer;
mod attempt;
mod breaking;
mod call;
mod client;
mod deadline;
mod decisions;
mod destination;
mod error;
mod heard;
mod hints;
mod repeat;
mod retry;
mod turns;

pub use answer::OutboundResponse;
pub use call::{CallOptions, Entry};
pub use client::{Outbound, OutboundClient};
pub use destination::{Destination, Rate};
pub use error::{OutboundError, Refusal};
pub use heard::{Heard, Said};
pub use repeat::Repeat;
