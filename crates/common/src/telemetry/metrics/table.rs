//! The table: a row for each metric, in the order in which `/metrics` shows them.
//!
//! A row has the field, its type, name, labels, help and, for a histogram, the boundaries: all that a metric needs beside
//! the method that records it. The macro turns a row into the [`Definition`] in [`ALL`], the field and the registration.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::definition::{Definition, Kind};
use super::labels::{
    BulkheadLabels, CacheLabels, CallbackLabels, CauseLabels, ChannelLabels, CommandLabels, DeliveryLabels,
    DestinationLabels, DirectionLabels, HttpLabels, LaneLabels, LimitLabels, LockLabels, LockNameLabels, MessageLabels,
    OutboundLabels, OutletLabels, PasswordCheckLabels, PlaceLabels, PortLabels, PriorityLabels, QueueLabels,
    ReasonLabels, RefreshLabels, StateLabels, SweepLabels, TableLabels, TransitionLabels, TypeLabels,
};

type Counters<L> = Family<L, Counter>;
type Gauges<L> = Family<L, Gauge>;
type FloatGauge = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// Boundaries in seconds: those that OpenTelemetry's conventions advise for HTTP durations, and three below them that
/// tell an answer from the cache from one of the database.
const SECONDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// In seconds: a command to Redis takes a tenth of a millisecond on the same machine and is given up after 50 ms.
const COMMAND_SECONDS: [f64; 11] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
];

/// From a cause to its effect, in seconds: fine where a person waits for it, then coarse, up to a day.
const CRITICAL_SECONDS: [f64; 16] = [
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0,
];

macro_rules! metrics {
    (@new $type:ty) => { <$type>::default() };
    (@new $type:ty, $boundaries:ident) => { Family::new_with_constructor(|| Histogram::new($boundaries)) };

    ($($field:ident: $type:ty = $name:literal, [$($label:literal),*], $help:literal $(, in $boundaries:ident)?;)*) => {
        /// All of them.
        pub const ALL: &[Definition] = &[$(Definition {
            name: $name, kind: Kind::of(<$type as TypedMetric>::TYPE), labels: &[$($label),*], help: $help,
        }),*];

        /// All of them, to be recorded.
        pub(super) struct Series {
            $(pub(super) $field: $type,)*
        }

        impl Series {
            /// A new one of each, which `registry` shows.
            pub(super) fn register(registry: &mut Registry) -> Self {
                $(
                    let $field: $type = metrics!(@new $type $(, $boundaries)?);
                    add(registry, $name, $help, $field.clone());
                )*
                Self { $($field),* }
            }
        }
    };
}

metrics! {
    http_server: Durations<HttpLabels> = "http_server_request_duration_seconds",
        ["http_request_method", "http_route", "http_response_status_code"],
        "Duration of HTTP requests that were answered", in SECONDS;
    http_client: Durations<HttpLabels> = "http_client_request_duration_seconds",
        ["http_request_method", "http_route", "http_response_status_code"],
        "Duration of HTTP tries that were made", in SECONDS;
    outbox_pending: Gauge = "waypost_outbox_pending", [], "Events that wait for the broker's confirmation";
    outbox_oldest_age: FloatGauge = "waypost_outbox_oldest_age_seconds", [],
        "Age of the oldest event that waits for the broker";
    outbox_mark: Gauge = "waypost_outbox_mark", [], "Id of the outbox up to which nothing is there or will be";
    outbox_oldest_writer: FloatGauge = "waypost_outbox_oldest_writer_age_seconds", [],
        "How long the mark has waited for a transaction that wrote to the outbox and is still open";
    outlet_pending: Gauges<OutletLabels> = "waypost_outlet_pending", ["outlet"],
        "Events that wait for an outlet to other systems";
    outlet_oldest_age: Family<OutletLabels, FloatGauge> = "waypost_outlet_oldest_age_seconds", ["outlet"],
        "Age of the oldest event that waits for an outlet to other systems";
    messages: Counters<MessageLabels> = "waypost_messages_total", ["queue", "outcome"], "Messages by queue and outcome";
    critical_time: Durations<TypeLabels> = "waypost_critical_time_seconds", ["type"],
        "From the time of an event to the commit of what it caused", in CRITICAL_SECONDS;
    log_lines_lost: Counter = "waypost_log_lines_dropped_total", [],
        "Log lines of this process that nobody took in time or that could not be written";
    spans_lost: Counter = "waypost_spans_dropped_total", [],
        "Spans that the trace collector did not take in time";
    connections_refused: Counters<PortLabels> = "waypost_http_connections_refused_total", ["port"],
        "Connections closed at once because their address had as many as it may";
    operations_refused: Counters<ReasonLabels> = "waypost_operations_refused_total", ["reason"],
        "Requests to the operations API without its token";
    consumer_gate: Gauges<QueueLabels> = "waypost_consumer_gate", ["queue"],
        "Gate before a consumer: 0 open, 1 probing, 2 draining, 3 closed";
    consumer_slow_start: Gauges<QueueLabels> = "waypost_consumer_slow_start", ["queue"],
        "Whether a consumer takes one message at a time because its channel is new: 1, else 0";
    queue_consumers: Gauges<QueueLabels> = "waypost_queue_consumers", ["queue"],
        "Consumers of a queue as the broker counts them; 0 until it was asked, and in memory";
    intake_panics: Counters<QueueLabels> = "waypost_intake_panics_total", ["queue"], "Intakes that panicked";
    batches: Counters<MessageLabels> = "waypost_message_batches_total", ["queue", "outcome"],
        "Messages that came together by whether one change took them in";
    broker_blocked: Gauge = "waypost_broker_blocked", [],
        "Whether the broker takes no messages, for want of memory or disk: 1, else 0";
    unrouted_messages: Gauge = "waypost_unrouted_messages", [], "Messages that no queue is bound to";
    unrouted_oldest_age: FloatGauge = "waypost_unrouted_oldest_age_seconds", [],
        "Age of the oldest message that no queue is bound to";
    topology_missing_since: Gauge = "waypost_topology_missing_since_timestamp_seconds", [],
        "When the topology was last seen whole before something was found missing; 0: nothing was";
    cache_reads: Counters<CacheLabels> = "waypost_cache_reads_total", ["layer", "outcome"],
        "Cache reads by layer and outcome";
    cache_refreshes: Counters<RefreshLabels> = "waypost_cache_refreshes_total", ["reason", "outcome"],
        "Refreshes of cached values by what caused them and what came of them";
    cache_invalidations: Counters<DirectionLabels> = "waypost_cache_invalidations_total", ["direction"],
        "Keys whose change was told to other replicas, or heard from them";
    cache_subscription_up: Gauge = "waypost_cache_subscription_up", [],
        "Whether the changes of other replicas are heard: 1, else 0 and nothing is answered from the process";
    cache_repairs_pending: Gauge = "waypost_cache_repairs_pending", [],
        "Keys whose change could not be written to the store and waits for it";
    locks: Counters<LockLabels> = "waypost_lock_attempts_total", ["lock", "outcome"],
        "What came of asking for a lock, and locks that were lost";
    lock_waits: Durations<LockNameLabels> = "waypost_lock_wait_duration_seconds", ["lock"],
        "How long somebody waited for what the holder of a lock does", in SECONDS;
    limit_decisions: Counters<LimitLabels> = "waypost_limit_decisions_total", ["class", "algorithm", "outcome"],
        "Decisions of the rate limits by class, algorithm and what came of them";
    sessions_swept: Counters<SweepLabels> = "waypost_sessions_swept_total", ["outcome"],
        "Expired sessions by what the sweep did with them";
    rows_pruned: Counters<TableLabels> = "waypost_rows_pruned_total", ["table"],
        "Rows that were deleted because they had been kept as long as they are";
    password_checks: Counters<PasswordCheckLabels> = "waypost_breached_password_checks_total", ["outcome"],
        "New passwords by what came of looking them up among those known from breaches";
    store_commands: Durations<CommandLabels> = "waypost_store_command_duration_seconds", ["command", "outcome"],
        "Duration of commands that were sent to Redis", in COMMAND_SECONDS;
    concurrency_limit: Gauges<LaneLabels> = "waypost_concurrency_limit", ["lane"],
        "Requests that may be under way at a time";
    concurrency_in_flight: Gauges<LaneLabels> = "waypost_concurrency_in_flight", ["lane"],
        "Requests that are under way";
    requests_shed: Counters<PriorityLabels> = "waypost_requests_shed_total", ["priority"],
        "Requests that were refused because too many were under way";
    bulkhead_places: Gauges<PlaceLabels> = "waypost_bulkhead_places", ["bulkhead", "state"],
        "Places of a bulkhead by state";
    bulkhead_rejections: Counters<BulkheadLabels> = "waypost_bulkhead_rejections_total", ["bulkhead"],
        "Work that found no place in a bulkhead in time";
    database_connections: Gauges<StateLabels> = "waypost_database_connections", ["state"],
        "Connections of the database pool by state";
    database_connections_limit: Gauge = "waypost_database_connections_limit", [],
        "Connections that the database pool may have";
    outbound_decisions: Counters<OutboundLabels> = "waypost_outbound_decisions_total",
        ["destination", "layer", "decision"], "What the layers around calls to other systems decided";
    breaker_transitions: Counters<TransitionLabels> = "waypost_breaker_transitions_total", ["destination", "to"],
        "Changes of a circuit breaker's state";
    callbacks: Counters<CallbackLabels> = "waypost_callbacks_total", ["provider", "outcome"],
        "Calls of providers that tell of messages";
    breaker_state: Gauges<DestinationLabels> = "waypost_breaker_state", ["destination"],
        "Circuit breaker: 0 closed, 1 half-open, 2 open";
    destination_refuses: Gauges<DestinationLabels> = "waypost_destination_refuses", ["destination"],
        "Whether a destination refuses us and is left alone: 1, else 0";
    destination_held: Gauges<DestinationLabels> = "waypost_destination_held", ["destination"],
        "Whether an operator holds a destination: 1, else 0";
    hold_age: Family<DestinationLabels, FloatGauge> = "waypost_hold_age_seconds", ["destination"],
        "How long the hold of a destination has stood";
    hold_ends_in: Family<DestinationLabels, FloatGauge> = "waypost_hold_ends_in_seconds", ["destination"],
        "How long the hold of a destination stands yet";
    hold_waiting: Gauges<DestinationLabels> = "waypost_hold_waiting", ["destination"],
        "Deliveries that are due behind the hold of a destination";
    deliveries: Counters<DeliveryLabels> = "waypost_deliveries_total", ["channel", "status"],
        "Deliveries by channel and the state reached";
    maybe_sent: Counters<CauseLabels> = "waypost_deliveries_maybe_sent_total", ["channel", "cause"],
        "Tries of which nobody knows whether they arrived; each may arrive twice";
    delivery_oldest_due: Family<ChannelLabels, FloatGauge> = "waypost_delivery_oldest_due_seconds", ["channel"],
        "How long the oldest due delivery has waited";
}

fn add(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    // The encoding adds `_total` to every counter's name.
    registry.register(name.strip_suffix("_total").unwrap_or(name), help, metric);
}
