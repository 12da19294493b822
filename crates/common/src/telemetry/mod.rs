//! Traces, logs and metrics.
//!
//! - [`Telemetry::start`] sets up the process once: log lines, and spans that go to OTLP and, under
//!   a development profile, into a bounded [`SpanBuffer`];
//! - [`TraceContext`] carries a trace across what has no HTTP request: a row, a message;
//! - [`Metrics`] is one service's Prometheus registry, passed in, never global;
//! - [`scope`] says on whose behalf code runs, which tells services apart that share a process.
//!
//! Nothing here may slow or fail the work: a collector that is away costs spans, never requests.

mod buffer;
mod context;
mod error;
mod export;
mod logs;
mod metrics;
mod sampler;
mod scope;
mod start;
mod writer;

pub use buffer::{BufferedSpan, SpanBuffer};
pub use context::TraceContext;
pub(crate) use context::is_recorded;
pub use error::TelemetryError;
pub use export::lost_spans;
pub use metrics::{ALL as ALL_METRICS, Definition, Held, HttpLabels, Kind, Metrics};
pub use sampler::Sampling;
pub use scope::{current_service, scope};
pub use start::Telemetry;
pub use writer::lost_log_lines;
