//! Starts and ends the telemetry of a process.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::export::ByService;
use super::logs::{Lines, SpanFields, losses};
use super::sampler::HeadSampler;
use super::writer::to_stderr;
use super::{SpanBuffer, TelemetryError};
use crate::config::{LogFormat, Profile, Service, Settings};

/// The parts that the exporter is made of must not make spans, or each export would make more to export. Targets match by
/// prefix. The decisions of the layers around a call stand in its span, as events, and not in the log.
const SPANS: &str = "info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off,sqlx=off,lapin=off,reqwest_retry=off,\
                     common::outbound=debug";
/// Failed exports are not logged by the library but by us, one line a minute. A retried call has its span and its count.
const LOGS: &str = "info,opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,sqlx=warn,sea_orm=warn,\
                    lapin=off,reqwest_retry=off,actix_http=off,actix_server=warn,tracing_actix_web=warn,h2=warn,hyper=warn,tonic=warn";

/// The part of the time for the end that the last log lines may take.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The process's telemetry, from its start to the last flush.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    buffer: Option<Arc<SpanBuffer>>,
    /// When it is dropped, it writes the lines that still wait, for a second at most.
    lines: WorkerGuard,
}

impl Telemetry {
    /// Sets up logs and spans for this process. Call once, inside the tokio runtime.
    ///
    /// # Errors
    /// [`TelemetryError`] when the address of the collector or the choice of log lines can't be one.
    pub fn start(service: Service, settings: &Settings) -> Result<Self, TelemetryError> {
        let buffer = (settings.profile == Profile::Development).then(Arc::<SpanBuffer>::default);
        let processor = ByService::new(service, &settings.telemetry.otlp_endpoint, buffer.clone())?;
        let provider = SdkTracerProvider::builder()
            .with_sampler(HeadSampler(settings.telemetry.sample_ratio))
            .with_span_processor(processor)
            .build();
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("waypost"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_filter(EnvFilter::new(SPANS));
        let json = match settings.telemetry.log_format {
            LogFormat::Json => true,
            LogFormat::Text => false,
            LogFormat::Auto => !std::io::stderr().is_terminal(),
        };
        let (stderr, lines) = to_stderr(move |lost| losses(service, json, lost));
        let logs = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(Lines::new(service, json))
            .fmt_fields(SpanFields { json })
            .with_writer(stderr)
            .with_filter(match settings.telemetry.log_filter.as_str() {
                "" => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGS)),
                filter => EnvFilter::try_new(filter).map_err(TelemetryError::LogFilter)?,
            });
        // Tests start several services in one process: the first one's stays.
        let _ = tracing_subscriber::registry().with(spans).with(logs).try_init();
        Ok(Self {
            provider,
            buffer,
            lines,
        })
    }

    /// The last spans, under a development profile.
    pub fn buffer(&self) -> Option<Arc<SpanBuffer>> {
        self.buffer.clone()
    }

    /// Makes one span and waits until the collector took it, `limit` at most.
    ///
    /// # Errors
    /// What the exporter says, or that there was no answer in time: a text for a person.
    pub async fn send_test_span(self, limit: Duration) -> Result<(), String> {
        tracing::info_span!("test span").in_scope(|| {});
        let provider = self.provider;
        let flushing = tokio::task::spawn_blocking(move || provider.force_flush());
        match tokio::time::timeout(limit, flushing).await {
            Ok(Ok(flushed)) => flushed.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        }
    }

    /// Sends the spans that are left, then writes the log lines, for which the last 0.5 s of `limit` are kept.
    ///
    /// Both happen off the runtime's threads: the exporter needs those for its calls, and a reader of log lines may stall.
    pub async fn stop(self, limit: Duration) {
        let Self { provider, lines, .. } = self;
        let for_spans = limit.saturating_sub(LAST_LINES);
        let flushing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(for_spans));
        let _ = tokio::time::timeout(for_spans, flushing).await;
        let writing = tokio::task::spawn_blocking(move || drop(lines));
        let _ = tokio::time::timeout(LAST_LINES, writing).await;
    }
}
