//! The client of Kafka: librdkafka's idempotent producer.
//!
//! It connects, retries and reconnects by itself, in threads of its own; what it has not delivered after
//! [`DELIVERY`] it gives back. The relay then has it sent again, so a copy may arrive, behind the first and never before the
//! event ahead of it: of a key one message is on its way at a time. What a relay that lost its lock had on the way may arrive
//! still, as a copy behind what the next leader has sent meanwhile.

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
    client: Mutex<Arc<Client>>,
}

/// One client of librdkafka. Its end joins its threads and may wait for half a minute, for a name that is looked up:
/// no task, no worker of tokio's and no end of the process may wait for that. So a plain thread does, and nobody joins it.
struct Client(Option<FutureProducer<Ear>>);

impl Client {
    fn open(config: &ClientConfig, watch: &Watch) -> Result<Arc<Self>, ClientError> {
        let client = config.create_with_context(Ear(watch.clone()))?;
        Ok(Arc::new(Self(Some(client))))
    }

    /// The client; `None` in its end alone, when nobody has it any more.
    fn own(&self) -> Option<&FutureProducer<Ear>> {
        self.0.as_ref()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            let end = std::thread::Builder::new().name("end of Kafka's client".to_owned());
            // Where no thread is to be had, it ends here.
            drop(end.spawn(move || drop(client)));
        }
    }
}

impl Producer {
    /// Begins to connect to `servers`, which have commas between.
    pub(super) fn connect(servers: &str, topic: &str, watch: Watch) -> Result<Self, KafkaError> {
        let config = config(servers);
        let client = Client::open(&config, &watch).map_err(|error| KafkaError::Client(error.to_string()))?;
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
            let client = client.own().ok_or("the client has ended")?;
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
        inner.watch.tries(Instant::now());
        let Some(own) = client.own() else {
            return Err(PublishError::Unavailable);
        };
        let answer = match own.send_result(sent) {
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

    /// Forgets what is still on its way, as far as it has not left: the next leader sends it. In the client it would be sent
    /// for as long as [`DELIVERY`], behind what that leader has sent by then.
    pub(super) fn recall(&self) {
        let client = self.0.client.lock().clone();
        if client.own().is_some_and(|own| own.in_flight_count() > 0) {
            self.replace(&client, "what it had on its way is the next leader's");
        }
    }

    /// What becomes of a message that the client could not deliver.
    fn failed(&self, client: &Arc<Client>, error: &ClientError) -> PublishError {
        let code = error.rdkafka_error_code();
        tracing::debug!(?code, "an event was not taken by Kafka");
        if client.own().is_some_and(|own| own.client().fatal_error().is_some()) {
            self.replace(client, "its state was of no more use");
        }
        let (trouble, error) = judge(code);
        if let Some(trouble) = trouble {
            self.0.watch.failed(trouble, Instant::now());
        }
        error
    }

    /// Replaces a client that is to send no more, or never will: its numbers are no longer those that Kafka expects.
    fn replace(&self, old: &Arc<Client>, why: &str) {
        let mut client = self.0.client.lock();
        // Another message has met the same, and did it.
        if !Arc::ptr_eq(&client, old) {
            return;
        }
        match Client::open(&self.0.config, &self.0.watch) {
            Ok(new) => {
                tracing::warn!(why, "the client of Kafka was made anew");
                *client = new;
            }
            Err(error) => tracing::error!(%error, "the client of Kafka can't be made anew"),
        }
    }
}

/// The trouble that an error is, and what the relay is to do; no trouble: it is this one message's.
fn judge(code: Option<RDKafkaErrorCode>) -> (Option<Trouble>, PublishError) {
    use RDKafkaErrorCode as Code;
    match code {
        Some(Code::MessageSizeTooLarge) => (None, PublishError::TooLarge),
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic) => {
            (Some(Trouble::NoTopic), PublishError::Unavailable)
        }
        Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::PolicyViolation
            // Of a whole batch: whose fault it is, Kafka does not say.
            | Code::InvalidRecord
            | Code::InvalidMessageSize,
        ) => (Some(Trouble::Refuses), PublishError::Unavailable),
        // Its queue is full of what it could not deliver.
        Some(Code::QueueFull) => (Some(Trouble::Away), PublishError::Unavailable),
        _ => (Some(Trouble::Away), PublishError::Unknown),
    }
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
        // The topic is its owner's: one that a client has made has as many partitions as the broker thinks right.
        .set("allow.auto.create.topics", "false")
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
