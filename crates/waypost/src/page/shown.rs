//! What the development page shows: where the mails and the spans are, and the pages for them.

use std::path::PathBuf;
use std::sync::Arc;

use common::telemetry::SpanBuffer;

use super::html::Html;

pub(super) struct Shown {
    pub(super) mails: Option<PathBuf>,
    pub(super) spans: Option<Arc<SpanBuffer>>,
    pub(super) html: Html,
}
