//! What the development page shows: where the mails and the spans are.

use std::path::PathBuf;
use std::sync::Arc;

use common::telemetry::SpanBuffer;

pub(super) struct Shown {
    pub(super) mails: Option<PathBuf>,
    pub(super) spans: Option<Arc<SpanBuffer>>,
}
