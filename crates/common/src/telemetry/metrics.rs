//! Every metric of the system, with its name and labels: the one place. docs/observability.md has the table.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::config::Service;

/// Boundaries in seconds, as OpenTelemetry's conventions advise for HTTP durations.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

type FloatGauge = Gauge<f64, AtomicU64>;
type Durations = Family<HttpLabels, Histogram, fn() -> Histogram>;

/// One service's metrics. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    http_server: Durations,
    http_client: Durations,
    outbox_pending: Gauge,
    outbox_oldest_age: FloatGauge,
    messages: Family<MessageLabels, Counter>,
    unrouted_messages: Gauge,
    cache_reads: Family<CacheLabels, Counter>,
    breaker_state: Family<DestinationLabels, Gauge>,
    deliveries: Family<DeliveryLabels, Counter>,
    delivery_oldest_due: Family<ChannelLabels, FloatGauge>,
}

/// Labels of the HTTP durations, named as OpenTelemetry's conventions are in Prometheus.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct HttpLabels {
    /// Method, upper case; `_OTHER` for an unknown one.
    pub http_request_method: Cow<'static, str>,
    /// Server: the route's pattern. Client: the destination's name. Never a path with ids.
    pub http_route: Cow<'static, str>,
    /// Status code; 0 when there was no answer.
    pub http_response_status_code: u16,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MessageLabels {
    queue: String,
    outcome: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CacheLabels {
    layer: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DestinationLabels {
    destination: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeliveryLabels {
    channel: String,
    status: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ChannelLabels {
    channel: String,
}

impl Metrics {
    /// An empty set for `service`; every series carries its name.
    pub fn new(service: Service) -> Self {
        let labels = std::iter::once(("service".into(), service.name().into()));
        let mut inner = Inner {
            registry: Registry::with_labels(labels),
            http_server: Family::new_with_constructor(durations),
            http_client: Family::new_with_constructor(durations),
            outbox_pending: Gauge::default(),
            outbox_oldest_age: FloatGauge::default(),
            messages: Family::default(),
            unrouted_messages: Gauge::default(),
            cache_reads: Family::default(),
            breaker_state: Family::default(),
            deliveries: Family::default(),
            delivery_oldest_due: Family::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// Counts one request that this service answered (`http_server_request_duration_seconds`).
    pub fn http_server(&self, labels: &HttpLabels, took: Duration) {
        self.0.http_server.get_or_create(labels).observe(took.as_secs_f64());
    }

    /// Counts one try of a call that this service made (`http_client_request_duration_seconds`).
    pub fn http_client(&self, labels: &HttpLabels, took: Duration) {
        self.0.http_client.get_or_create(labels).observe(took.as_secs_f64());
    }

    /// Rows of the outbox that wait for the broker (`waypost_outbox_pending`).
    pub fn outbox_pending(&self, rows: u64) {
        self.0.outbox_pending.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// Age of the oldest of them (`waypost_outbox_oldest_age_seconds`).
    pub fn outbox_oldest_age(&self, age: Duration) {
        self.0.outbox_oldest_age.set(age.as_secs_f64());
    }

    /// Counts one settled message (`waypost_messages_total`): `ack`, `retry`, `dead_letter`, `duplicate`, `published`.
    pub fn message(&self, queue: &str, outcome: &str) {
        let labels = MessageLabels {
            queue: queue.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.0.messages.get_or_create(&labels).inc();
    }

    /// Messages that no queue is bound to, kept to be seen (`waypost_unrouted_messages`).
    pub fn unrouted_messages(&self, messages: u64) {
        self.0
            .unrouted_messages
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Counts one look into a cache layer (`waypost_cache_reads_total`): `hit`, `miss`, `stale`, `error`.
    pub fn cache_read(&self, layer: &'static str, outcome: &'static str) {
        self.0.cache_reads.get_or_create(&CacheLabels { layer, outcome }).inc();
    }

    /// State of a destination's breaker (`waypost_breaker_state`): 0 closed, 1 half-open, 2 open.
    pub fn breaker_state(&self, destination: &str, state: i64) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        self.0.breaker_state.get_or_create(&labels).set(state);
    }

    /// Counts one delivery that reached a state (`waypost_deliveries_total`).
    pub fn delivery(&self, channel: &str, status: &str) {
        let labels = DeliveryLabels {
            channel: channel.to_owned(),
            status: status.to_owned(),
        };
        self.0.deliveries.get_or_create(&labels).inc();
    }

    /// How long the oldest due delivery of a channel has waited (`waypost_delivery_oldest_due_seconds`).
    pub fn delivery_oldest_due(&self, channel: &str, waited: Duration) {
        let labels = ChannelLabels {
            channel: channel.to_owned(),
        };
        self.0
            .delivery_oldest_due
            .get_or_create(&labels)
            .set(waited.as_secs_f64());
    }

    /// All of them in Prometheus's text form (OpenMetrics 1.0).
    pub fn render(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.0.registry).is_err() {
            let _ = writeln!(text, "# encoding failed");
        }
        text
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let help = "Duration of HTTP requests that were answered";
        registry.register("http_server_request_duration_seconds", help, self.http_server.clone());
        let help = "Duration of HTTP tries that were made";
        registry.register("http_client_request_duration_seconds", help, self.http_client.clone());
        let help = "Events that wait for the broker's confirmation";
        registry.register("waypost_outbox_pending", help, self.outbox_pending.clone());
        let help = "Age of the oldest event that waits for the broker";
        registry.register(
            "waypost_outbox_oldest_age_seconds",
            help,
            self.outbox_oldest_age.clone(),
        );
        registry.register(
            "waypost_messages",
            "Messages by queue and outcome",
            self.messages.clone(),
        );
        let help = "Messages that no queue is bound to";
        registry.register("waypost_unrouted_messages", help, self.unrouted_messages.clone());
        registry.register(
            "waypost_cache_reads",
            "Cache reads by layer and outcome",
            self.cache_reads.clone(),
        );
        let help = "Circuit breaker: 0 closed, 1 half-open, 2 open";
        registry.register("waypost_breaker_state", help, self.breaker_state.clone());
        registry.register(
            "waypost_deliveries",
            "Deliveries by channel and the state reached",
            self.deliveries.clone(),
        );
        let help = "How long the oldest due delivery has waited";
        registry.register(
            "waypost_delivery_oldest_due_seconds",
            help,
            self.delivery_oldest_due.clone(),
        );
    }
}

fn durations() -> Histogram {
    Histogram::new(SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_documented_ones() {
        let metrics = Metrics::new(Service::UserApi);
        metrics.message("q", "ack");
        metrics.cache_read("l1", "hit");
        metrics.outbox_pending(3);
        metrics.delivery("sms", "accepted");
        let text = metrics.render();
        for line in [
            "waypost_messages_total{service=\"user-api\",queue=\"q\",outcome=\"ack\"} 1",
            "waypost_cache_reads_total{service=\"user-api\",layer=\"l1\",outcome=\"hit\"} 1",
            "waypost_outbox_pending{service=\"user-api\"} 3",
            "waypost_deliveries_total{service=\"user-api\",channel=\"sms\",status=\"accepted\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
