//! Calls out of the system: to providers, webhooks, another party's documents.
//!
//! One [`OutboundClient`] a destination. Every call passes, outside in: deadline -> retry with
//! budget and jittered backoff -> circuit breaker -> rate limit -> bulkhead -> per-try timeout ->
//! the call. So every try passes the breaker and the limits, and nobody sleeps while holding a
//! permit. `Retry-After` is obeyed. A request that is not idempotent by its method is tried again
//! only when the caller says that it may be ([`Repeat`]). Answers are read whole and bounded.
//!
//! No client in the workspace is made elsewhere. Nothing here knows what a call is for, writes an
//! address with its query into a log or span, or follows a redirect.

mod answer;
mod attempt;
mod client;
mod destination;
mod error;
mod guards;
mod repeat;
mod retry;

pub use answer::OutboundResponse;
pub use client::OutboundClient;
pub use destination::{Destination, Rate};
pub use error::{OutboundError, Refusal};
pub use repeat::Repeat;
