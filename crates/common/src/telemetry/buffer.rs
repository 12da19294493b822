//! Keeps the last spans of this process, for whoever develops it.

use std::collections::VecDeque;

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::scope::SERVICE_ATTRIBUTE;

/// Spans that are kept; the oldest go first.
const CAPACITY: usize = 20_000;

/// The last spans of this process, for the development page and the demo. Bounded.
#[derive(Debug, Default)]
pub struct SpanBuffer {
    spans: Mutex<VecDeque<BufferedSpan>>,
}

/// A finished span.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BufferedSpan {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The parent's id; none for a root.
    pub parent_span_id: Option<String>,
    /// Service that made it.
    pub service: String,
    /// Its name, such as `POST /v1/users`.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer`, `internal`.
    pub kind: String,
    /// Microseconds since the epoch.
    pub start_us: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// Whether it ended in an error.
    pub error: bool,
}

impl SpanBuffer {
    /// The spans of one trace that are still kept, in the order in which they started.
    pub fn trace(&self, trace_id: &str) -> Vec<BufferedSpan> {
        let mut spans: Vec<_> = self
            .lock()
            .iter()
            .filter(|span| span.trace_id == trace_id)
            .cloned()
            .collect();
        spans.sort_by_key(|span| span.start_us);
        spans
    }

    /// The newest spans of kind `server`, which are the requests that came in: `limit` at most, the last that ended first.
    pub fn roots(&self, limit: usize) -> Vec<BufferedSpan> {
        self.lock()
            .iter()
            .rev()
            .filter(|span| span.kind == "server")
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn push(&self, span: &SpanData) {
        let mut spans = self.lock();
        if spans.len() == CAPACITY {
            spans.pop_front();
        }
        spans.push_back(BufferedSpan::from(span));
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, VecDeque<BufferedSpan>> {
        self.spans.lock()
    }
}

impl From<&SpanData> for BufferedSpan {
    fn from(span: &SpanData) -> Self {
        let service = span
            .attributes
            .iter()
            .find(|pair| pair.key.as_str() == SERVICE_ATTRIBUTE);
        Self {
            trace_id: span.span_context.trace_id().to_string(),
            span_id: span.span_context.span_id().to_string(),
            parent_span_id: (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string()),
            service: service.map(|pair| pair.value.to_string()).unwrap_or_default(),
            name: span.name.to_string(),
            kind: format!("{:?}", span.span_kind).to_lowercase(),
            start_us: micros(
                span.start_time
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            duration_us: micros(span.end_time.duration_since(span.start_time).unwrap_or_default()),
            error: matches!(span.status, Status::Error { .. }),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
