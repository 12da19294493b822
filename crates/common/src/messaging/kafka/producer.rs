//! The client of Kafka: librdkafka's idempotent producer.
//!
//! It connects, retries and reconnects by itself, in threads of its own; what it has not delivered after
//! [`DELIVERY`] it gives back. The relay then has it sent again, so a copy may arrive, behind the first and never before the
//! event ahead of it: of a key one message is on its way at a time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::statistics::Statistics;
use tokio::time::{Instant, timeout};

use super::error::KafkaError;
use super::record::Record;
use super::trouble::{Trouble, Watch};
use crate::messaging::error::PublishError;

/// How long the client tries to deliver a message, its connections made anew meanwhile.
const DELIVERY: Duration = Duration::from_secs(30);
/// Longest that its answer is waited for; it comes within [`DELIVERY`] unless the client itself stands still.
const ANSWER: Duration = Duration::from_secs(35);
/// How long a topic may be missing before messages are given back.
const NEW_TOPIC: Duration = Duration::from_secs(5);
/// How often the client tells to whom it is connected.
const LOOK: Duration = Duration::from_secs(5);
/// Largest message, its headers included, that the client takes: a body of `MAX_BODY_BYTES` and 64 KiB.
const LARGEST: usize = contracts::envelope::MAX_BODY_BYTES + 64 * 1024;
/// Bytes of a batch, unless one message alone has more. Kafka refuses a batch that is larger than its topic takes as a whole,
/// whoever is in it; a small one is refused only for a message that is too large by itself, and has it alone.
const BATCH: usize = 64 * 1024;
/// Messages that the client holds at most: the relay's window, with room for what it has given up and the client has not.
const HELD: usize = 1_000;

/// The client. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Producer(Arc<Inner>);

struct Inner {
    config: ClientConfig,
    topic: String,
    watch: Watch,
    client: Mutex<FutureProducer<Ear>>,
}

impl Producer {
    /// Begins to connect to `servers`, which have commas between.
    pub(super) fn connect(servers: &str, topic: &str, watch: Watch) -> Result<Self, KafkaError> {
        let config = config(servers);
        let client = open(&config, &watch).map_err(|error| KafkaError::Client(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            config,
            topic: topic.to_owned(),
            watch,
            client: Mutex::new(client),
        })))
    }

    /// Asks for the topic, and how many partitions it has.
    pub(super) async fn partitions(&self, patience: Duration) -> Result<usize, String> {
        let (client, topic) = (self.0.client.lock().clone(), self.0.topic.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let told = client.client().fetch_metadata(Some(&topic), patience);
            let told = told.map_err(|_| "no broker answers".to_owned())?;
            let found = told.topics().iter().find(|found| found.name() == topic);
            match found.map(|found| (found.error(), found.partitions().len())) {
                Some((None, partitions @ 1..)) => Ok(partitions),
                _ => Err(format!("a broker answers, and has no topic {topic}")),
            }
        });
        asking.await.unwrap_or_else(|_| Err("the client broke off".to_owned()))
    }

    /// Sends one record, and waits until it is confirmed or given up.
    pub(super) async fn send(&self, record: Record) -> Result<(), PublishError> {
        let inner = &self.0;
        let client = inner.client.lock().clone();
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                let value = Some(value);
                headers.insert(Header { key, value })
            });
        let mut sent = FutureRecord::to(&inner.topic)
            .payload(&record.body[..])
            .headers(headers);
        if let Some(key) = &record.key {
            sent = sent.key(key);
        }
        let answer = match client.send_result(sent) {
            Ok(delivery) => timeout(ANSWER, delivery).await,
            Err((error, _)) => return Err(self.failed(&client, &error)),
        };
        match answer {
            Ok(Ok(Ok(_))) => {
                inner.watch.delivered();
                Ok(())
            }
            Ok(Ok(Err((error, _)))) => Err(self.failed(&client, &error)),
            // The client was replaced, or stands still.
            Ok(Err(_)) | Err(_) => {
                inner.watch.failed(Trouble::Away, Instant::now());
                Err(PublishError::Unknown)
            }
        }
    }

    /// What becomes of a message that the client could not deliver.
    fn failed(&self, client: &FutureProducer<Ear>, error: &ClientError) -> PublishError {
        let code = error.rdkafka_error_code();
        tracing::debug!(?code, "an event was not taken by Kafka");
        if client.client().fatal_error().is_some() {
            self.replace(client);
        }
        let (trouble, error) = judge(code);
        if let Some(trouble) = trouble {
            self.0.watch.failed(trouble, Instant::now());
        }
        error
    }

    /// Replaces a client that will never send again: its numbers are no longer those that Kafka expects.
    fn replace(&self, broken: &FutureProducer<Ear>) {
        let mut client = self.0.client.lock();
        // Another message has met the same, and did it.
        if !std::ptr::eq(client.client().native_ptr(), broken.client().native_ptr()) {
            return;
        }
        match open(&self.0.config, &self.0.watch) {
            Ok(new) => {
                tracing::warn!("the client of Kafka was made anew: its state was of no more use");
                let old = std::mem::replace(&mut *client, new);
                // Its end waits for its threads.
                drop(tokio::task::spawn_blocking(move || drop(old)));
            }
            Err(error) => tracing::error!(%error, "the client of Kafka can't be made anew"),
        }
    }
}

/// The trouble that an error is, and what the relay is to do; no trouble: it is this one message's.
fn judge(code: Option<RDKafkaErrorCode>) -> (Option<Trouble>, PublishError) {
    use RDKafkaErrorCode as Code;
    match code {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::InvalidRecord) => {
            (None, PublishError::TooLarge)
        }
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic) => {
            (Some(Trouble::NoTopic), PublishError::Unavailable)
        }
        Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::PolicyViolation,
        ) => (Some(Trouble::Refuses), PublishError::Unavailable),
        // Its queue is full of what it could not deliver.
        Some(Code::QueueFull) => (Some(Trouble::Away), PublishError::Unavailable),
        _ => (Some(Trouble::Away), PublishError::Unknown),
    }
}

fn open(config: &ClientConfig, watch: &Watch) -> Result<FutureProducer<Ear>, ClientError> {
    config.create_with_context(Ear(watch.clone()))
}

/// What the client is told; the rest are its own defaults.
fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("client.id", "waypost")
        // Acknowledged by all replicas in step, retried without limit within the time, numbered against doubles.
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", DELIVERY.as_millis().to_string())
        .set("message.max.bytes", LARGEST.to_string())
        .set("batch.size", BATCH.to_string())
        .set("queue.buffering.max.messages", HELD.to_string())
        .set("topic.metadata.propagation.max.ms", NEW_TOPIC.as_millis().to_string())
        .set("statistics.interval.ms", LOOK.as_millis().to_string())
        // The partition that Java's clients choose: who joins topics by key finds the keys where they look.
        .set("partitioner", "murmur2_random")
        // Back within two seconds of a broker's return.
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Hears what the client tells of itself, in its own threads.
struct Ear(Watch);

impl ClientContext for Ear {
    /// Each lost connection is a line of theirs; what it means is one of ours.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(?level, facility, line, "librdkafka");
    }

    fn error(&self, error: ClientError, _reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.0.connected(false);
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.0.connected(true);
        }
    }
}
