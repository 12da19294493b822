//! One trace: stored context -> PRODUCER -> CONSUMER, whichever broker there is.

use std::sync::{Arc, Mutex};

use common::config::Service;
use common::messaging::OutboundMessage;
use common::telemetry::TraceContext;
use contracts::topology::EMAIL_WORKER_EVENTS;
use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use test_support::eventually;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::fixture::{Fixture, SOON, done, fail, someone};
use crate::subscriber::subscribe;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Spans of this test's thread. Tests run on one thread each, so the subscriber is theirs alone.
#[derive(Debug, Clone, Default)]
struct Collected(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collected {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Collected {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
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

    fn of_kind(&self, kind: &SpanKind) -> Vec<SpanData> {
        let spans = self.0.lock().unwrap();
        spans.iter().filter(|span| span.span_kind == *kind).cloned().collect()
    }
}

fn stored(flags: &str) -> TraceContext {
    TraceContext::parse(Some(&format!("00-{TRACE}-{SPAN}-{flags}")), None).unwrap()
}

#[tokio::test]
async fn a_process_span_is_the_child_of_its_publish_span_on_rabbitmq() {
    let (spans, _guard) = Collected::start();
    a_process_span_is_the_child_of_its_publish_span(Fixture::rabbit().await, spans).await;
}

#[tokio::test]
async fn a_process_span_is_the_child_of_its_publish_span_in_memory() {
    let (spans, _guard) = Collected::start();
    a_process_span_is_the_child_of_its_publish_span(Fixture::memory().await, spans).await;
}

async fn a_process_span_is_the_child_of_its_publish_span(fixture: Fixture, spans: Collected) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |message| {
        if message.attempt == 1 {
            fail("once more")
        } else {
            done()
        }
    });

    let message = OutboundMessage::of(Service::UserApi, &someone(), stored("01")).unwrap();
    fixture.broker.publish(message).await.unwrap();
    seen.reaches(2).await;

    eventually(SOON, async || spans.of_kind(&SpanKind::Consumer).len() >= 3).await;
    let publish = spans.of_kind(&SpanKind::Producer);
    assert_eq!(publish.len(), 1);
    assert_eq!(publish[0].name, "publish waypost.events");
    assert_eq!(publish[0].parent_span_id.to_string(), SPAN);
    let mut processed: Vec<String> = Vec::new();
    for span in spans.of_kind(&SpanKind::Consumer) {
        assert_eq!(span.span_context.trace_id().to_string(), TRACE);
        assert_eq!(span.parent_span_id, publish[0].span_context.span_id(), "{}", span.name);
        processed.push(span.name.into_owned());
    }
    processed.sort_unstable();
    assert_eq!(
        processed,
        [
            "process email-worker.events",
            "process email-worker.events",
            "process notification-gateway.events"
        ]
    );
    for (inside, span) in seen.traces().iter().zip(spans.of_kind(&SpanKind::Consumer)) {
        assert_eq!(inside.trace_id(), span.span_context.trace_id().to_string());
        assert!(inside.is_sampled());
    }
    fixture.end().await;
}

#[tokio::test]
async fn an_unsampled_trace_travels_and_leaves_no_span() {
    let (spans, _guard) = Collected::start();
    let fixture = Fixture::memory().await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());

    let message = OutboundMessage::of(Service::UserApi, &someone(), stored("00")).unwrap();
    fixture.broker.publish(message).await.unwrap();

    assert_eq!(seen.traces(), [stored("00")]);
    assert!(spans.0.lock().unwrap().is_empty());
    fixture.end().await;
}
