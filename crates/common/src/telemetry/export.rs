//! Where spans go when they end: to the collector, under the name of the service that made them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use opentelemetry::trace::Span as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use parking_lot::Mutex;

use super::scope::SERVICE_ATTRIBUTE;
use super::{SpanBuffer, TelemetryError, current_service};
use crate::config::Service;

/// Spans that wait for the collector, those on their way included; more are dropped and counted.
const QUEUE: usize = 8192;
const BATCH: usize = 512;
const EVERY: Duration = Duration::from_secs(1);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// A collector that is away makes one log line a minute.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// What each service of this process waits to export, and has lost. The first telemetry that starts is the process's.
static EXPORTED: OnceLock<BTreeMap<&'static str, Arc<Waiting>>> = OnceLock::new();

/// Spans of a service that the collector did not take, since the start of the process.
pub fn lost_spans(service: Service) -> u64 {
    let waiting = EXPORTED.get().and_then(|all| all.get(service.name()));
    let lost = waiting.map_or(0, |waiting| waiting.lost.load(Ordering::Relaxed));
    u64::try_from(lost).unwrap_or(u64::MAX)
}

/// Marks each span with its service, then hands it to that service's exporter.
#[derive(Debug)]
pub(super) struct ByService {
    /// The service of spans whose code runs on no service's behalf.
    main: Service,
    exporters: BTreeMap<&'static str, Exporter>,
    buffer: Option<Arc<SpanBuffer>>,
}

impl ByService {
    pub(super) fn new(main: Service, endpoint: &str, buffer: Option<Arc<SpanBuffer>>) -> Result<Self, TelemetryError> {
        let services = match main {
            Service::Waypost => Service::ALL.to_vec(),
            one => vec![one],
        };
        let mut exporters = BTreeMap::new();
        if !endpoint.is_empty() {
            for service in services {
                exporters.insert(service.name(), exporter(service, endpoint)?);
            }
        }
        EXPORTED.get_or_init(|| waiting(&exporters));
        Ok(Self {
            main,
            exporters,
            buffer,
        })
    }

    fn each(&self, act: impl Fn(&BatchSpanProcessor) -> OTelSdkResult) -> OTelSdkResult {
        // All of them, also when one fails.
        self.exporters
            .values()
            .map(|exporter| act(&exporter.batches))
            .collect::<Vec<_>>()
            .into_iter()
            .collect()
    }
}

impl SpanProcessor for ByService {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let service = current_service().unwrap_or(self.main);
        span.set_attribute(KeyValue::new(SERVICE_ATTRIBUTE, service.name()));
    }

    fn on_end(&self, span: SpanData) {
        if let Some(buffer) = &self.buffer {
            buffer.push(&span);
        }
        let service = span
            .attributes
            .iter()
            .find(|pair| pair.key.as_str() == SERVICE_ATTRIBUTE)
            .map(|pair| pair.value.as_str());
        let exporter = service
            .and_then(|name| self.exporters.get(&*name))
            .or_else(|| self.exporters.get(self.main.name()));
        if let Some(exporter) = exporter
            && exporter.waiting.add_one()
        {
            exporter.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.each(SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        // Side by side, so that a collector that hangs costs the time once.
        std::thread::scope(|threads| {
            let stopping: Vec<_> = self
                .exporters
                .values()
                .map(|exporter| threads.spawn(move || exporter.batches.shutdown_with_timeout(timeout)))
                .collect();
            let ended = stopping.into_iter().map(|one| {
                one.join()
                    .unwrap_or_else(|_| Err(OTelSdkError::InternalFailure("the exporter panicked".into())))
            });
            // All are joined, also when one failed.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

/// One service's way to the collector.
#[derive(Debug)]
struct Exporter {
    batches: BatchSpanProcessor,
    waiting: Arc<Waiting>,
}

/// Spans that wait, and all that were lost so far.
#[derive(Debug, Default)]
struct Waiting {
    spans: AtomicUsize,
    lost: AtomicUsize,
}

impl Waiting {
    /// Adds a span; false when there is no room, and it counts as lost.
    fn add_one(&self) -> bool {
        let added = self
            .spans
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < QUEUE).then_some(waiting + 1)
            });
        if added.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        added.is_ok()
    }
}

fn waiting(exporters: &BTreeMap<&'static str, Exporter>) -> BTreeMap<&'static str, Arc<Waiting>> {
    let each = exporters.iter();
    each.map(|(name, exporter)| (*name, Arc::clone(&exporter.waiting)))
        .collect()
}

fn exporter(service: Service, endpoint: &str) -> Result<Exporter, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(TelemetryError::Endpoint)?;
    let limits = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(EVERY)
        .build();
    let waiting = Arc::<Waiting>::default();
    let mut batches = BatchSpanProcessor::builder(Watched::new(exporter, Arc::clone(&waiting)))
        .with_batch_config(limits)
        .build();
    batches.set_resource(&resource(service));
    Ok(Exporter { batches, waiting })
}

fn resource(service: Service) -> Resource {
    Resource::builder()
        .with_service_name(service.name())
        .with_attribute(KeyValue::new("service.namespace", "waypost"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// An exporter whose losses are one log line a minute, with a count, instead of one a batch.
#[derive(Debug)]
struct Watched {
    inner: opentelemetry_otlp::SpanExporter,
    waiting: Arc<Waiting>,
    complained: Mutex<Complaint>,
}

/// What was last said of losses.
#[derive(Debug, Default)]
struct Complaint {
    at: Option<Instant>,
    /// The losses that have been told.
    told: usize,
}

impl Watched {
    fn new(inner: opentelemetry_otlp::SpanExporter, waiting: Arc<Waiting>) -> Self {
        Self {
            inner,
            waiting,
            complained: Mutex::default(),
        }
    }

    /// Says how many spans were lost since it was last said, once a minute at most: refused with this error, or dropped
    /// because too many waited.
    fn complain(&self, error: Option<&OTelSdkError>) {
        let mut said = self.complained.lock();
        let lost = self.waiting.lost.load(Ordering::Relaxed);
        if lost > said.told && said.at.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            let count = lost - said.told;
            *said = Complaint {
                at: Some(Instant::now()),
                told: lost,
            };
            let error = error.map_or_else(|| "it is too slow".to_owned(), ToString::to_string);
            tracing::warn!(
                spans_lost = count,
                error,
                "the trace collector does not take all spans; work goes on without"
            );
        }
    }
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.inner.export(batch).await;
        self.waiting.spans.fetch_sub(count, Ordering::Relaxed);
        if result.is_err() {
            self.waiting.lost.fetch_add(count, Ordering::Relaxed);
        }
        self.complain(result.as_ref().err());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_as_lost() {
        let waiting = Waiting::default();
        assert!((0..QUEUE).all(|_| waiting.add_one()));
        assert!(!waiting.add_one());
        waiting.spans.fetch_sub(1, Ordering::Relaxed);
        assert!(waiting.add_one());
        assert_eq!(waiting.lost.load(Ordering::Relaxed), 1);
    }
}
