//! Where a relay publishes to: the broker between the services, or Kafka, where other systems read.

use std::future::Future;
use std::time::Duration;

use contracts::topology::EVENTS_EXCHANGE;

use crate::messaging::broker::Broker;
use crate::messaging::error::PublishError;
use crate::messaging::kafka::{self, Kafka};
use crate::messaging::message::OutboundMessage;
use crate::messaging::outbox::{FOR_BROKER, FOR_KAFKA};
use crate::telemetry::Metrics;

/// What one relay publishes to. Each has a table, a leader and metrics of its own.
#[derive(Clone)]
pub(super) enum Outlet {
    Broker(Broker),
    Kafka(Kafka),
}

impl Outlet {
    /// The table that the relay empties; also a part of the name of the channel on which replicas tell of commits.
    pub(super) fn table(&self) -> &'static str {
        match self {
            Self::Broker(_) => FOR_BROKER,
            Self::Kafka(_) => FOR_KAFKA,
        }
    }

    /// What the leader has the right to. The lock is known by these words, to older releases too: they must not change.
    pub(super) fn right(&self) -> &'static str {
        match self {
            Self::Broker(_) => "outbox relay",
            Self::Kafka(_) => "Kafka relay",
        }
    }

    /// The name under which its messages are counted in metrics.
    pub(super) fn counted_as(&self) -> &'static str {
        match self {
            Self::Broker(_) => EVENTS_EXCHANGE,
            Self::Kafka(_) => kafka::NAME,
        }
    }

    /// Publishes, and waits for the confirmation.
    pub(super) async fn publish(&self, message: OutboundMessage) -> Result<(), PublishError> {
        match self {
            Self::Broker(broker) => broker.publish(message).await,
            Self::Kafka(kafka) => kafka.publish(message).await,
        }
    }

    /// Whether a publish has a chance.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Broker(broker) => broker.is_ready(),
            Self::Kafka(kafka) => kafka.is_ready(),
        }
    }

    /// Resolves when a publish has a chance again.
    pub(super) fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let outlet = self.clone();
        async move {
            match outlet {
                Self::Broker(broker) => broker.ready().await,
                Self::Kafka(kafka) => kafka.ready().await,
            }
        }
    }

    /// Replaces the connection for publishes, where one connection may refuse what another takes.
    pub(super) fn connect_anew(&self) {
        match self {
            Self::Broker(broker) => broker.connect_anew(),
            // Its client does that by itself.
            Self::Kafka(_) => {}
        }
    }

    /// How many aggregates' messages may wait for their confirmation at once.
    pub(super) fn window(&self) -> usize {
        match self {
            Self::Broker(broker) => broker.window(),
            Self::Kafka(_) => kafka::WINDOW,
        }
    }

    /// How many aggregates the outlet would begin with now; the window may have less room.
    pub(super) fn takes(&self) -> usize {
        match self {
            Self::Broker(_) => usize::MAX,
            Self::Kafka(kafka) => kafka.takes(),
        }
    }

    /// Whether it may be out of reach for some aggregates only. The broker is there for all or for none; Kafka's partitions
    /// have a leader each.
    pub(super) fn fails_in_parts(&self) -> bool {
        matches!(self, Self::Kafka(_))
    }

    /// Shows in `metrics` how many rows wait.
    pub(super) fn shows_pending(&self, metrics: &Metrics, rows: u64) {
        match self {
            Self::Broker(_) => metrics.outbox_pending(rows),
            Self::Kafka(_) => metrics.outlet_pending(kafka::NAME, rows),
        }
    }

    /// Shows how long the oldest of them has waited.
    pub(super) fn shows_oldest_age(&self, metrics: &Metrics, age: Duration) {
        match self {
            Self::Broker(_) => metrics.outbox_oldest_age(age),
            Self::Kafka(_) => metrics.outlet_oldest_age(kafka::NAME, age),
        }
    }

    /// Shows the mark and the age of the oldest writer that it waits for, of the broker's relay alone.
    pub(super) fn shows_mark(&self, metrics: &Metrics, id: i64, oldest_writer: Duration) {
        match self {
            Self::Broker(_) => metrics.outbox_mark(id, oldest_writer),
            Self::Kafka(_) => {}
        }
    }

    /// Tells the outlet that no row waits for it.
    pub(super) fn nothing_waits(&self) {
        if let Self::Kafka(kafka) = self {
            kafka.nothing_waits();
        }
    }

    /// Tells the outlet that another relay leads, which sends all of it and shows it in its own metrics.
    pub(super) fn stands_by(&self, metrics: &Metrics) {
        if let Self::Kafka(kafka) = self {
            kafka.stands_by();
        }
        self.shows_pending(metrics, 0);
        self.shows_oldest_age(metrics, Duration::ZERO);
        self.shows_mark(metrics, 0, Duration::ZERO);
    }
}
