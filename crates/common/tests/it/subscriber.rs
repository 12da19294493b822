use std::sync::{Arc, LazyLock, Mutex};

use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

/// Gives the spans of this thread to `subscriber` for as long as the guard lives.
///
/// For each span in the code, tracing remembers whether somebody wants it. As long as there is one
/// subscriber only, it asks that of the thread that comes by first, which may be another test's that
/// has none: then nobody ever gets the span. So there is always a second one.
pub(crate) fn subscribe(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&SECOND);
    tracing::subscriber::set_default(subscriber)
}

/// Spans of this test's thread. Tests run on one thread each, so the subscriber is theirs alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collected {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Collected {
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let collected = Self::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_simple_exporter(collected.clone())
            .build();
        // As in production: what libraries trace is not told.
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("test"))
            .with_filter(LevelFilter::INFO);
        let guard = subscribe(tracing_subscriber::registry().with(layer));
        (collected, guard)
    }

    /// All that have ended, in the order of their ends.
    pub(crate) fn all(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn of_kind(&self, kind: &SpanKind) -> Vec<SpanData> {
        self.all().into_iter().filter(|span| span.span_kind == *kind).collect()
    }
}
