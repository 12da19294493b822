//! One trace: stored context -> PRODUCER -> CONSUMER, whichever broker there is.

use common::config::Service;
use common::messaging::OutboundMessage;
use common::telemetry::TraceContext;
use contracts::topology::EMAIL_WORKER_EVENTS;
use opentelemetry::trace::SpanKind;
use test_support::eventually;

use super::fixture::{Fixture, SOON, done, fail, someone};
use crate::subscriber::Collected;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

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
    assert!(spans.all().is_empty());
    fixture.end().await;
}
