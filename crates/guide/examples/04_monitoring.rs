//! One sign-up through two services as one trace, and the metrics that it made.
//!
//! `cargo run --example 04_monitoring [-- --collector http://127.0.0.1:4317]`
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use common::config::{Service, Settings};
use common::telemetry::{BufferedSpan, HttpLabels, Metrics, Telemetry, TraceContext, scope};
use tokio::time::sleep;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

/// What a step takes.
const STEP: Duration = Duration::from_millis(2);

#[derive(Parser)]
struct Arguments {
    /// Where spans are sent, OTLP over gRPC (Jaeger takes them); kept in the process unless one is named
    #[arg(long, default_value = "")]
    collector: String,
}

/// An event, as a row of the outbox and then a message carries it: with the trace that it belongs to.
struct Event {
    trace: TraceContext,
    told_at: Instant,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { collector } = Arguments::parse();
    let own = vec![("WAYPOST__TELEMETRY__OTLP_ENDPOINT".to_owned(), collector.clone())];
    let settings = Settings::load_shared_from(Service::Waypost, None, own)?;
    let telemetry = Telemetry::start(Service::Waypost, &settings)?;
    let (api, worker) = (Metrics::new(Service::UserApi), Metrics::new(Service::EmailWorker));

    // No request runs any more when the relay and the worker take their turns: the event alone knows the trace.
    let event = scope(Service::UserApi, sign_up(&api)).await;
    let event = scope(Service::UserApi, relay(&api, event)).await;
    let id = event.trace.trace_id().to_owned();
    scope(Service::EmailWorker, take(&worker, event)).await;

    let spans = telemetry.buffer().context("only development keeps spans")?.trace(&id);
    println!("one trace");
    for root in spans.iter().filter(|span| span.parent_span_id.is_none()) {
        show(&spans, root, 0);
    }
    println!("\nits metrics");
    let text = [api, worker].map(|metrics| metrics.render()).concat();
    let counts = text
        .lines()
        .filter(|line| line.contains("_count{") || line.contains("_total{"));
    let mut counts: Vec<_> = counts.filter(|line| !line.ends_with(" 0")).collect();
    counts.sort_unstable();
    println!("{}", counts.join("\n"));
    // What still waits is sent before the process ends.
    telemetry.stop(Duration::from_secs(3)).await;
    if !collector.is_empty() {
        println!("\ntrace {id} was sent to {collector}");
    }
    Ok(())
}

/// user-api answers a sign-up. The event is written beside the account, with the context of the request.
async fn sign_up(metrics: &Metrics) -> Event {
    let began = Instant::now();
    let span = info_span!("request", otel.name = "POST /v1/users", otel.kind = "server");
    let event = async {
        sleep(STEP).instrument(client("INSERT users")).await;
        let (trace, told_at) = (TraceContext::current(), Instant::now());
        Event { trace, told_at }
    };
    let event = event.instrument(span).await;
    metrics.http_server(&labels("/v1/users", 201), began.elapsed());
    event
}

/// Publishes the event, under the context that its row has kept.
async fn relay(metrics: &Metrics, event: Event) -> Event {
    let span = info_span!(parent: None, "publish", otel.name = "publish waypost.events", otel.kind = "producer");
    event.trace.adopt(&span);
    let trace = TraceContext::of_span(&span);
    sleep(STEP).instrument(span).await;
    metrics.message("waypost.events", "published");
    Event { trace, ..event }
}

/// email-worker takes the message and sends the mail, at the second try.
async fn take(metrics: &Metrics, event: Event) {
    let span = info_span!(parent: None, "process", otel.name = "process email-worker.events", otel.kind = "consumer");
    event.trace.adopt(&span);
    let work = async {
        for (attempt, status) in [(1, 503), (2, 202)] {
            let (began, span) = (Instant::now(), client("POST"));
            if status == 503 {
                span.record("otel.status_code", "ERROR");
            }
            span.record("http.request.resend_count", attempt - 1);
            sleep(STEP).instrument(span).await;
            metrics.http_client(&labels("mail", status), began.elapsed());
        }
    };
    work.instrument(span).await;
    metrics.message("email-worker.events", "ack");
    metrics.critical_time("mail.welcome", event.told_at.elapsed());
}

/// A span of a call to somebody else.
fn client(name: &str) -> Span {
    info_span!(
        "call",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.resend_count = Empty
    )
}

/// A route and a destination have names; a path has as many as there are people.
fn labels(route: &'static str, status: u16) -> HttpLabels {
    HttpLabels {
        http_request_method: "POST".into(),
        http_route: route.into(),
        http_response_status_code: status,
    }
}

/// A span, and below it those that it caused.
fn show(spans: &[BufferedSpan], span: &BufferedSpan, depth: usize) {
    let name = format!(
        "{}{} [{}]{}",
        "  ".repeat(depth),
        span.name,
        span.kind,
        if span.error { " ERROR" } else { "" }
    );
    println!("{:<14}{name:<48}{} us", span.service, span.duration_us);
    let caused = spans
        .iter()
        .filter(|one| one.parent_span_id.as_deref() == Some(&span.span_id));
    caused.for_each(|one| show(spans, one, depth + 1));
}
