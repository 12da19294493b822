//! The outlet's handle: publishes one message, with its span, and says how Kafka is.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::error::KafkaError;
use super::producer::Producer;
use super::trouble::Watch;
use crate::config::{KafkaServers, Settings};
use crate::messaging::error::PublishError;
use crate::messaging::message::OutboundMessage;
use crate::messaging::trace;
use crate::process::Finding;
use crate::telemetry::TraceContext;

/// The outlet's name in metrics, in `/readyz`, and in spans (`messaging.system` of the semantic conventions).
pub(in crate::messaging) const NAME: &str = "kafka";
/// How many aggregates' messages may wait for their confirmation at once: as many as one read of the outbox takes.
pub(in crate::messaging) const WINDOW: usize = 200;

/// The outlet to Kafka. Cheap to clone; all clones share one client, with one connection to each of Kafka's brokers.
#[derive(Clone)]
pub struct Kafka {
    producer: Producer,
    watch: Watch,
    topic: String,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// Begins to connect, in the background and for as long as a clone of it lives. Kafka need not be there.
    ///
    /// # Errors
    /// [`KafkaError`] when no Kafka is named, this program can't speak to one, or the client refuses its settings.
    pub fn connect(settings: &Settings) -> Result<Self, KafkaError> {
        let outlet = &settings.outlets.kafka;
        let KafkaServers::At(servers) = &outlet.url else {
            return Err(KafkaError::Off);
        };
        let watch = Watch::default();
        Ok(Self {
            producer: Producer::connect(servers, &outlet.topic, watch.clone())?,
            watch,
            topic: outlet.topic.clone(),
        })
    }

    /// How Kafka is, as far as this process has seen, and what cures it where events can't go.
    pub fn finding(&self) -> Finding {
        self.watch.finding()
    }

    /// Asks Kafka for the topic, for `patience` at most; answers with the number of its partitions.
    ///
    /// # Errors
    /// What is wrong, in words, when the topic is not there, or nobody answers in time.
    pub async fn partitions(&self, patience: Duration) -> Result<usize, String> {
        self.producer.partitions(patience).await
    }

    /// Publishes to the topic, and waits until every in-sync replica has the message, for 35 s at most.
    ///
    /// # Errors
    /// [`PublishError`] when it was not confirmed.
    pub(in crate::messaging) async fn publish(&self, message: OutboundMessage) -> Result<(), PublishError> {
        let parent = message.trace();
        let (kind, id) = (message.kind().to_owned(), message.id().to_string());
        let span = || trace::producer(NAME, &self.topic, &kind, &id);
        let publish = async {
            let record = message.into_wire(TraceContext::current()).into();
            let confirmed = self.producer.send(record).await;
            if confirmed.is_err() {
                trace::failed();
            }
            confirmed
        };
        trace::continuing(parent.as_ref(), span, publish).await
    }

    /// How many aggregates may be begun with now: while there is trouble, one a second, to see whether it is over.
    pub(in crate::messaging) fn takes(&self) -> usize {
        if self.watch.is_in_trouble() { 1 } else { WINDOW }
    }

    /// To be called when another relay leads: forgets the trouble, and what is still on its way.
    pub(in crate::messaging) fn stands_by(&self) {
        self.watch.forgets();
        self.producer.recall();
    }

    /// To be called when no row waits: the trouble of earlier events is over.
    pub(in crate::messaging) fn nothing_waits(&self) {
        self.watch.forgets();
    }

    /// Whether a publish has a chance.
    pub(in crate::messaging) fn is_ready(&self) -> bool {
        self.watch.rests_until(Instant::now()).is_none()
    }

    /// Resolves when a publish has a chance again.
    pub(in crate::messaging) async fn ready(&self) {
        while let Some(until) = self.watch.rests_until(Instant::now()) {
            sleep_until(until).await;
        }
    }
}
