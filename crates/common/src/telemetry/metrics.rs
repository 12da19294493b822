//! Every metric of the system, with its name and labels: the one place.
//!
//! [`ALL`] is the table; docs/observability.md has the same one for people, and a test holds both, the
//! dashboards and the alert rules to each other. What goes into a label is bounded: a route's pattern, a
//! queue, a channel; never an id or an address.

mod labels;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use self::labels::HttpLabels;
use self::labels::{
    BulkheadLabels, CacheLabels, CauseLabels, ChannelLabels, CommandLabels, DeliveryLabels, DestinationLabels,
    DirectionLabels, LaneLabels, LimitLabels, LockLabels, LockNameLabels, MessageLabels, PlaceLabels, PortLabels,
    PriorityLabels, QueueLabels, RefreshLabels, StateLabels, SweepLabels,
};
use crate::Timestamp;
use crate::config::Service;

/// What a metric is, as it shows at `/metrics`.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Name of its series; a histogram's get `_bucket`, `_count` and `_sum`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its own labels; `service` comes on top.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Prometheus's own words")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! definitions {
    ($($constant:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)*) => {
        $(const $constant: Definition = Definition {
            name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help,
        };)*
        /// All of them.
        pub const ALL: &[Definition] = &[$($constant),*];
    };
}

definitions! {
    HTTP_SERVER = "http_server_request_duration_seconds", Histogram,
        ["http_request_method", "http_route", "http_response_status_code"], "Duration of HTTP requests that were answered";
    HTTP_CLIENT = "http_client_request_duration_seconds", Histogram,
        ["http_request_method", "http_route", "http_response_status_code"], "Duration of HTTP tries that were made";
    OUTBOX_PENDING = "waypost_outbox_pending", Gauge, [], "Events that wait for the broker's confirmation";
    OUTBOX_OLDEST_AGE = "waypost_outbox_oldest_age_seconds", Gauge, [], "Age of the oldest event that waits for the broker";
    MESSAGES = "waypost_messages_total", Counter, ["queue", "outcome"], "Messages by queue and outcome";
    LOG_LINES_LOST = "waypost_log_lines_dropped_total", Counter, [], "Log lines of this process that nobody took in time";
    CONNECTIONS_REFUSED = "waypost_http_connections_refused_total", Counter,
        ["port"], "Connections closed at once because their address had as many as it may";
    CONSUMER_GATE = "waypost_consumer_gate", Gauge,
        ["queue"], "Gate before a consumer: 0 open, 1 probing, 2 draining, 3 closed";
    UNROUTED = "waypost_unrouted_messages", Gauge, [], "Messages that no queue is bound to";
    UNROUTED_OLDEST_AGE = "waypost_unrouted_oldest_age_seconds", Gauge, [], "Age of the oldest message that no queue is bound to";
    TOPOLOGY_MISSING_SINCE = "waypost_topology_missing_since_timestamp_seconds", Gauge, [],
        "When the topology was last seen whole before something was found missing; 0: nothing was";
    CACHE_READS = "waypost_cache_reads_total", Counter, ["layer", "outcome"], "Cache reads by layer and outcome";
    CACHE_REFRESHES = "waypost_cache_refreshes_total", Counter,
        ["reason", "outcome"], "Refreshes of cached values by what caused them and what came of them";
    CACHE_INVALIDATIONS = "waypost_cache_invalidations_total", Counter,
        ["direction"], "Keys whose change was told to other replicas, or heard from them";
    CACHE_SUBSCRIPTION_UP = "waypost_cache_subscription_up", Gauge, [],
        "Whether the changes of other replicas are heard: 1, else 0 and nothing is answered from the process";
    CACHE_REPAIRS_PENDING = "waypost_cache_repairs_pending", Gauge, [],
        "Keys whose change could not be written to the store and waits for it";
    LOCKS = "waypost_lock_attempts_total", Counter, ["lock", "outcome"], "What came of asking for a lock, and locks that were lost";
    LOCK_WAITS = "waypost_lock_wait_duration_seconds", Histogram, ["lock"], "How long somebody waited for what the holder of a lock does";
    LIMIT_DECISIONS = "waypost_limit_decisions_total", Counter,
        ["class", "algorithm", "outcome"], "Decisions of the rate limits by class, algorithm and what came of them";
    SESSIONS_SWEPT = "waypost_sessions_swept_total", Counter, ["outcome"], "Expired sessions by what the sweep did with them";
    STORE_COMMANDS = "waypost_store_command_duration_seconds", Histogram,
        ["command", "outcome"], "Duration of commands that were sent to Redis";
    CONCURRENCY_LIMIT = "waypost_concurrency_limit", Gauge, ["lane"], "Requests that may be under way at a time";
    CONCURRENCY_IN_FLIGHT = "waypost_concurrency_in_flight", Gauge, ["lane"], "Requests that are under way";
    REQUESTS_SHED = "waypost_requests_shed_total", Counter, ["priority"], "Requests that were refused because too many were under way";
    BULKHEAD_PLACES = "waypost_bulkhead_places", Gauge, ["bulkhead", "state"], "Places of a bulkhead by state";
    BULKHEAD_REJECTIONS = "waypost_bulkhead_rejections_total", Counter, ["bulkhead"], "Work that found no place in a bulkhead in time";
    DATABASE_CONNECTIONS = "waypost_database_connections", Gauge, ["state"], "Connections of the database pool by state";
    DATABASE_CONNECTIONS_LIMIT = "waypost_database_connections_limit", Gauge, [], "Connections that the database pool may have";
    BREAKER_STATE = "waypost_breaker_state", Gauge, ["destination"], "Circuit breaker: 0 closed, 1 half-open, 2 open";
    DESTINATION_REFUSES = "waypost_destination_refuses", Gauge,
        ["destination"], "Whether a destination refuses us and is left alone: 1, else 0";
    DELIVERIES = "waypost_deliveries_total", Counter,
        ["channel", "status"], "Deliveries by channel and the state reached";
    MAYBE_SENT = "waypost_deliveries_maybe_sent_total", Counter,
        ["channel", "cause"], "Tries of which nobody knows whether they arrived; each may arrive twice";
    DELIVERY_OLDEST_DUE = "waypost_delivery_oldest_due_seconds", Gauge,
        ["channel"], "How long the oldest due delivery has waited";
}

/// Boundaries in seconds: those that OpenTelemetry's conventions advise for HTTP durations, and three below them that
/// tell an answer from the cache from one of the database.
const SECONDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// A command to Redis takes a tenth of a millisecond on the same machine and is given up after 50 ms.
const COMMAND_SECONDS: [f64; 11] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
];

type FloatGauge = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;
type Sampler = Box<dyn Fn(&Metrics) + Send + Sync>;

/// One service's metrics. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    samplers: Mutex<Vec<Sampler>>,
    http_server: Durations<HttpLabels>,
    http_client: Durations<HttpLabels>,
    outbox_pending: Gauge,
    outbox_oldest_age: FloatGauge,
    messages: Family<MessageLabels, Counter>,
    log_lines_lost: Counter,
    connections_refused: Family<PortLabels, Counter>,
    consumer_gate: Family<QueueLabels, Gauge>,
    unrouted_messages: Gauge,
    unrouted_oldest_age: FloatGauge,
    topology_missing_since: Gauge,
    cache_reads: Family<CacheLabels, Counter>,
    cache_refreshes: Family<RefreshLabels, Counter>,
    cache_invalidations: Family<DirectionLabels, Counter>,
    cache_subscription_up: Gauge,
    cache_repairs_pending: Gauge,
    locks: Family<LockLabels, Counter>,
    lock_waits: Durations<LockNameLabels>,
    limit_decisions: Family<LimitLabels, Counter>,
    sessions_swept: Family<SweepLabels, Counter>,
    store_commands: Durations<CommandLabels>,
    concurrency_limit: Family<LaneLabels, Gauge>,
    concurrency_in_flight: Family<LaneLabels, Gauge>,
    requests_shed: Family<PriorityLabels, Counter>,
    bulkhead_places: Family<PlaceLabels, Gauge>,
    bulkhead_rejections: Family<BulkheadLabels, Counter>,
    database_connections: Family<StateLabels, Gauge>,
    database_connections_limit: Gauge,
    breaker_state: Family<DestinationLabels, Gauge>,
    destination_refuses: Family<DestinationLabels, Gauge>,
    deliveries: Family<DeliveryLabels, Counter>,
    maybe_sent: Family<CauseLabels, Counter>,
    delivery_oldest_due: Family<ChannelLabels, FloatGauge>,
}

impl Metrics {
    /// An empty set for `service`; every series carries its name.
    pub fn new(service: Service) -> Self {
        let labels = std::iter::once(("service".into(), service.name().into()));
        let mut inner = Inner {
            registry: Registry::with_labels(labels),
            samplers: Mutex::default(),
            http_server: Family::new_with_constructor(durations),
            http_client: Family::new_with_constructor(durations),
            outbox_pending: Gauge::default(),
            outbox_oldest_age: FloatGauge::default(),
            messages: Family::default(),
            log_lines_lost: Counter::default(),
            connections_refused: Family::default(),
            consumer_gate: Family::default(),
            unrouted_messages: Gauge::default(),
            unrouted_oldest_age: FloatGauge::default(),
            topology_missing_since: Gauge::default(),
            cache_reads: Family::default(),
            cache_refreshes: Family::default(),
            cache_invalidations: Family::default(),
            cache_subscription_up: Gauge::default(),
            cache_repairs_pending: Gauge::default(),
            locks: Family::default(),
            lock_waits: Family::new_with_constructor(durations),
            limit_decisions: Family::default(),
            sessions_swept: Family::default(),
            store_commands: Family::new_with_constructor(command_durations),
            concurrency_limit: Family::default(),
            concurrency_in_flight: Family::default(),
            requests_shed: Family::default(),
            bulkhead_places: Family::default(),
            bulkhead_rejections: Family::default(),
            database_connections: Family::default(),
            database_connections_limit: Gauge::default(),
            breaker_state: Family::default(),
            destination_refuses: Family::default(),
            deliveries: Family::default(),
            maybe_sent: Family::default(),
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

    /// Counts one settled message (`waypost_messages_total`): `ack`, `retry`, `dead_letter`,
    /// `handed_back`, `published`.
    pub fn message(&self, queue: &str, outcome: &str) {
        self.0.messages.get_or_create(&message_labels(queue, outcome)).inc();
    }

    /// Shows a queue's counters from the start: a first dead letter is seen as a rise, not as a new series.
    pub fn consumes(&self, queue: &str) {
        for outcome in ["ack", "retry", "dead_letter", "handed_back"] {
            drop(self.0.messages.get_or_create(&message_labels(queue, outcome)));
        }
    }

    /// All log lines that the process has lost so far (`waypost_log_lines_dropped_total`).
    pub fn log_lines_lost(&self, lines: u64) {
        self.0.log_lines_lost.inner().store(lines, Ordering::Relaxed);
    }

    /// Shows that none was refused yet at this port (`waypost_http_connections_refused_total`).
    pub fn listens(&self, port: &'static str) {
        let _ = self.0.connections_refused.get_or_create(&PortLabels { port });
    }

    /// Counts a connection that was closed at once, its address having as many as it may
    /// (`waypost_http_connections_refused_total`).
    pub fn connection_refused(&self, port: &'static str) {
        self.0.connections_refused.get_or_create(&PortLabels { port }).inc();
    }

    /// State of the gate before a queue's consumer (`waypost_consumer_gate`): 0 open, 1 probing, 2 draining, 3 closed.
    pub fn consumer_gate(&self, queue: &'static str, state: i64) {
        self.0.consumer_gate.get_or_create(&QueueLabels { queue }).set(state);
    }

    /// Messages that no queue is bound to, kept to be seen (`waypost_unrouted_messages`).
    pub fn unrouted_messages(&self, messages: u64) {
        self.0
            .unrouted_messages
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Age of the oldest of them (`waypost_unrouted_oldest_age_seconds`).
    pub fn unrouted_oldest_age(&self, age: Duration) {
        self.0.unrouted_oldest_age.set(age.as_secs_f64());
    }

    /// Something was missing on the broker, and was last seen at `since` (`waypost_topology_missing_since_timestamp_seconds`).
    pub fn topology_missing_since(&self, since: Timestamp) {
        self.0.topology_missing_since.set(since.as_seconds());
    }

    /// Counts one look into a cache layer (`waypost_cache_reads_total`): `hit`, `miss`, `stale`, `absent`, `error`.
    pub fn cache_read(&self, layer: &'static str, outcome: &'static str) {
        self.0.cache_reads.get_or_create(&CacheLabels { layer, outcome }).inc();
    }

    /// The counter of one such outcome, for who counts it at every request.
    pub fn cache_reads(&self, layer: &'static str, outcome: &'static str) -> Counter {
        self.0.cache_reads.get_or_create_owned(&CacheLabels { layer, outcome })
    }

    /// Counts one refresh of a cached value (`waypost_cache_refreshes_total`), by its reason: `miss`, `stale`, `ageing`;
    /// and its outcome: `loaded`, `shared` (another replica's was taken), `failed`.
    pub fn cache_refresh(&self, reason: &'static str, outcome: &'static str) {
        self.0
            .cache_refreshes
            .get_or_create(&RefreshLabels { reason, outcome })
            .inc();
    }

    /// Counts keys whose change was `sent` or `received` (`waypost_cache_invalidations_total`).
    pub fn cache_invalidations(&self, direction: &'static str, keys: u64) {
        let labels = DirectionLabels { direction };
        self.0.cache_invalidations.get_or_create(&labels).inc_by(keys);
    }

    /// Whether the changes of other replicas are heard (`waypost_cache_subscription_up`).
    pub fn cache_subscription(&self, is_up: bool) {
        self.0.cache_subscription_up.set(is_up.into());
    }

    /// Has the counters of a cache stand from the beginning, whose first event is what somebody waits for, or which others
    /// are compared with: what the cache saves of a database that was never asked is all.
    pub fn caches(&self, lock: &'static str) {
        for layer in ["l1", "redis", "database"] {
            drop(self.0.cache_reads.get_or_create(&CacheLabels { layer, outcome: "hit" }));
        }
        for outcome in ["loaded", "shared", "failed"] {
            for reason in ["miss", "stale", "ageing"] {
                drop(self.0.cache_refreshes.get_or_create(&RefreshLabels { reason, outcome }));
            }
        }
        for direction in ["sent", "received"] {
            drop(self.0.cache_invalidations.get_or_create(&DirectionLabels { direction }));
        }
        drop(self.0.lock_waits.get_or_create(&LockNameLabels { lock }));
        self.locks(lock);
    }

    /// The same for a lock.
    pub fn locks(&self, lock: &'static str) {
        for outcome in ["acquired", "taken", "lost", "error"] {
            drop(self.0.locks.get_or_create(&LockLabels { lock, outcome }));
        }
    }

    /// The same for the sweep of sessions, which takes the lock `lock`.
    pub fn sweeps(&self, lock: &'static str) {
        for outcome in ["deleted", "fenced"] {
            drop(self.0.sessions_swept.get_or_create(&SweepLabels { outcome }));
        }
        self.locks(lock);
    }

    /// Keys that wait to be repaired in the store (`waypost_cache_repairs_pending`).
    pub fn cache_repairs_pending(&self, keys: usize) {
        self.0
            .cache_repairs_pending
            .set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// Counts what came of asking for a lock (`waypost_lock_attempts_total`): `acquired`, `taken`, `error`; and `lost`.
    pub fn lock(&self, lock: &'static str, outcome: &'static str) {
        self.0.locks.get_or_create(&LockLabels { lock, outcome }).inc();
    }

    /// Somebody waited so long for what the holder of a lock does (`waypost_lock_wait_duration_seconds`).
    pub fn lock_wait(&self, lock: &'static str, waited: Duration) {
        let waits = self.0.lock_waits.get_or_create(&LockNameLabels { lock });
        waits.observe(waited.as_secs_f64());
    }

    /// The counter of one outcome of the rate limits (`waypost_limit_decisions_total`), which stands from then on: who
    /// decides on every request keeps it. Outcomes that pass: `leased` (a token that was in hand), `drawn` (from the store),
    /// `alone` (the store is away), `delayed`; and `refused`.
    pub fn limit_decisions(&self, class: &'static str, algorithm: &'static str, outcome: &'static str) -> Counter {
        let labels = LimitLabels {
            class,
            algorithm,
            outcome,
        };
        self.0.limit_decisions.get_or_create_owned(&labels)
    }

    /// Counts expired sessions (`waypost_sessions_swept_total`): `deleted`; and batches that were `fenced` off.
    pub fn sessions_swept(&self, outcome: &'static str, sessions: u64) {
        self.0
            .sessions_swept
            .get_or_create(&SweepLabels { outcome })
            .inc_by(sessions);
    }

    /// Counts one command that was sent to Redis (`waypost_store_command_duration_seconds`): `ok`,
    /// `timed_out`, `refused`.
    pub fn store_command(&self, command: &'static str, outcome: &'static str, took: Duration) {
        let labels = CommandLabels { command, outcome };
        let histogram = self.0.store_commands.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
    }

    /// A lane's limit and what is under way in it (`waypost_concurrency_limit`, `waypost_concurrency_in_flight`).
    pub fn concurrency(&self, lane: &'static str, limit: usize, in_flight: usize) {
        let labels = LaneLabels { lane };
        let shown = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.0.concurrency_limit.get_or_create(&labels).set(shown(limit));
        self.0
            .concurrency_in_flight
            .get_or_create(&labels)
            .set(shown(in_flight));
    }

    /// Counts one request that was refused because too many were under way (`waypost_requests_shed_total`).
    pub fn request_shed(&self, priority: &'static str) {
        self.0.requests_shed.get_or_create(&PriorityLabels { priority }).inc();
    }

    /// Has that counter of a priority stand from the beginning, so that its first rise is seen.
    pub fn sheds(&self, priority: &'static str) {
        drop(self.0.requests_shed.get_or_create(&PriorityLabels { priority }));
    }

    /// Places of a bulkhead, and all that found none so far (`waypost_bulkhead_places`,
    /// `waypost_bulkhead_rejections_total`).
    pub fn bulkhead(&self, bulkhead: &'static str, (used, free): (usize, usize), rejections: u64) {
        for (state, count) in [("used", used), ("free", free)] {
            let labels = PlaceLabels { bulkhead, state };
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.0.bulkhead_places.get_or_create(&labels).set(count);
        }
        let counter = self.0.bulkhead_rejections.get_or_create(&BulkheadLabels { bulkhead });
        counter.inner().store(rejections, Ordering::Relaxed);
    }

    /// Connections of the database pool, and how many it may have (`waypost_database_connections`,
    /// `waypost_database_connections_limit`).
    pub fn database_connections(&self, used: u32, idle: u32, limit: u32) {
        for (state, count) in [("used", used), ("idle", idle)] {
            let labels = StateLabels { state };
            self.0.database_connections.get_or_create(&labels).set(count.into());
        }
        self.0.database_connections_limit.set(limit.into());
    }

    /// Has `sampler` set its gauges each time these metrics are read: for what costs nothing to look at.
    pub fn at_each_reading(&self, sampler: impl Fn(&Self) + Send + Sync + 'static) {
        let mut samplers = self.0.samplers.lock();
        samplers.push(Box::new(sampler));
    }

    /// State of a destination's breaker (`waypost_breaker_state`): 0 closed, 1 half-open, 2 open.
    pub fn breaker_state(&self, destination: &str, state: i64) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        self.0.breaker_state.get_or_create(&labels).set(state);
    }

    /// Whether a destination refuses us and is left alone for it (`waypost_destination_refuses`).
    pub fn destination_refuses(&self, destination: &str, refuses: bool) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
        };
        self.0.destination_refuses.get_or_create(&labels).set(refuses.into());
    }

    /// Counts one delivery that reached a state (`waypost_deliveries_total`).
    pub fn delivery(&self, channel: &str, status: &str) {
        let labels = DeliveryLabels {
            channel: channel.to_owned(),
            status: status.to_owned(),
        };
        self.0.deliveries.get_or_create(&labels).inc();
    }

    /// Has a channel's counters of what may arrive twice there from the start, so that their first rise is seen.
    pub fn dispatches(&self, channel: &str) {
        for cause in ["no_answer", "holder_lost"] {
            let _ = self.0.maybe_sent.get_or_create(&CauseLabels::of(channel, cause));
        }
    }

    /// Counts one try of which nobody knows whether it arrived (`waypost_deliveries_maybe_sent_total`).
    pub fn maybe_sent(&self, channel: &str, cause: &'static str) {
        self.0.maybe_sent.get_or_create(&CauseLabels::of(channel, cause)).inc();
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
        for sample in &*self.0.samplers.lock() {
            sample(self);
        }
        let mut text = String::new();
        if encode(&mut text, &self.0.registry).is_err() {
            let _ = writeln!(text, "# encoding failed");
        }
        text
    }
}

fn message_labels(queue: &str, outcome: &str) -> MessageLabels {
    MessageLabels {
        queue: queue.to_owned(),
        outcome: outcome.to_owned(),
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        add(registry, HTTP_SERVER, self.http_server.clone());
        add(registry, HTTP_CLIENT, self.http_client.clone());
        add(registry, OUTBOX_PENDING, self.outbox_pending.clone());
        add(registry, OUTBOX_OLDEST_AGE, self.outbox_oldest_age.clone());
        add(registry, MESSAGES, self.messages.clone());
        add(registry, LOG_LINES_LOST, self.log_lines_lost.clone());
        add(registry, CONNECTIONS_REFUSED, self.connections_refused.clone());
        add(registry, CONSUMER_GATE, self.consumer_gate.clone());
        add(registry, UNROUTED, self.unrouted_messages.clone());
        add(registry, UNROUTED_OLDEST_AGE, self.unrouted_oldest_age.clone());
        add(registry, TOPOLOGY_MISSING_SINCE, self.topology_missing_since.clone());
        add(registry, CACHE_READS, self.cache_reads.clone());
        add(registry, CACHE_REFRESHES, self.cache_refreshes.clone());
        add(registry, CACHE_INVALIDATIONS, self.cache_invalidations.clone());
        add(registry, CACHE_SUBSCRIPTION_UP, self.cache_subscription_up.clone());
        add(registry, CACHE_REPAIRS_PENDING, self.cache_repairs_pending.clone());
        add(registry, LOCKS, self.locks.clone());
        add(registry, LOCK_WAITS, self.lock_waits.clone());
        add(registry, LIMIT_DECISIONS, self.limit_decisions.clone());
        add(registry, SESSIONS_SWEPT, self.sessions_swept.clone());
        add(registry, STORE_COMMANDS, self.store_commands.clone());
        add(registry, CONCURRENCY_LIMIT, self.concurrency_limit.clone());
        add(registry, CONCURRENCY_IN_FLIGHT, self.concurrency_in_flight.clone());
        add(registry, REQUESTS_SHED, self.requests_shed.clone());
        add(registry, BULKHEAD_PLACES, self.bulkhead_places.clone());
        add(registry, BULKHEAD_REJECTIONS, self.bulkhead_rejections.clone());
        add(registry, DATABASE_CONNECTIONS, self.database_connections.clone());
        let limit = self.database_connections_limit.clone();
        add(registry, DATABASE_CONNECTIONS_LIMIT, limit);
        add(registry, BREAKER_STATE, self.breaker_state.clone());
        add(registry, DESTINATION_REFUSES, self.destination_refuses.clone());
        add(registry, DELIVERIES, self.deliveries.clone());
        add(registry, MAYBE_SENT, self.maybe_sent.clone());
        add(registry, DELIVERY_OLDEST_DUE, self.delivery_oldest_due.clone());
    }
}

fn add(registry: &mut Registry, definition: Definition, metric: impl Metric) {
    // The encoding adds what every counter's name ends in.
    let name = definition.name.strip_suffix("_total").unwrap_or(definition.name);
    registry.register(name, definition.help, metric);
}

fn command_durations() -> Histogram {
    Histogram::new(COMMAND_SECONDS)
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
        metrics.store_command("get", "ok", Duration::from_millis(1));
        metrics.at_each_reading(|metrics| metrics.database_connections(2, 1, 16));
        let text = metrics.render();
        for line in [
            "waypost_messages_total{service=\"user-api\",queue=\"q\",outcome=\"ack\"} 1",
            "waypost_cache_reads_total{service=\"user-api\",layer=\"l1\",outcome=\"hit\"} 1",
            "waypost_outbox_pending{service=\"user-api\"} 3",
            "waypost_store_command_duration_seconds_count{service=\"user-api\",command=\"get\",outcome=\"ok\"} 1",
            "waypost_database_connections{service=\"user-api\",state=\"used\"} 2",
            "waypost_database_connections_limit{service=\"user-api\"} 16",
            "waypost_deliveries_total{service=\"user-api\",channel=\"sms\",status=\"accepted\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
