//! The client of Kafka: librdkafka's idempotent producer.
//!
//! It connects, retries and reconnects by itself, in threads of its own. What it has not delivered after [`DELIVERY`] it
//! gives back, and the relay sends it again. So a copy may arrive behind the first one, but never before the event ahead of
//! it: of each key one message is on its way at a time. When a relay loses its lock, what it had on the way may still
//! arrive, as a copy behind what the next leader has sent meanwhile.

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

/// How long the client tries to deliver a message, with new connections where the old ones are lost.
const DELIVERY: Duration = Duration::from_secs(30);
/// Longest wait for the client's answer; it comes within [`DELIVERY`] unless the client itself stands still.
const ANSWER: Duration = Duration::from_secs(35);
/// How long a topic may be missing before messages are given back.
const NEW_TOPIC: Duration = Duration::from_secs(5);
/// How often the client reports to which brokers it is connected.
const LOOK: Duration = Duration::from_secs(5);
/// Largest message, its headers included, that the client takes: a body of `MAX_BODY_BYTES` and 64 KiB.
const LARGEST: usize = contracts::envelope::MAX_BODY_BYTES + 64 * 1024;
/// Most bytes of a batch, unless one message alone has more. Kafka refuses a batch as a whole when its topic takes less.
/// With small batches this happens only to a message that is too large by itself, and such a message is alone in its batch.
const BATCH: usize = 64 * 1024;
/// Messages that the client holds at most: the relay's window, and room for messages that the relay has given up and the
/// client has not.
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

/// One client of librdkafka. When it ends, it joins its threads, and may wait half a minute for one that looks up a host's
/// name. No task, no worker of tokio's and no end of the process may wait so long. So a plain thread does, and nobody joins
/// it.
struct Client(Option<FutureProducer<Ear>>);

impl Client {
    fn open(config: &ClientConfig, watch: &Watch) -> Result<Arc<Self>, ClientError> {
        let client = config.create_with_context(Ear(watch.clone()))?;
        Ok(Arc::new(Self(Some(client))))
    }

    /// The client; `None` only while it is dropped.
    fn own(&self) -> Option<&FutureProducer<Ear>> {
        self.0.as_ref()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            let end = std::thread::Builder::new().name("end of Kafka's client".to_owned());
            // Where no thread can be made, the client ends here, and this thread waits.
            drop(end.spawn(move || drop(client)));
        }
    }
}

impl Producer {
    /// Begins to connect to `servers`: `host:port`, with commas between them.
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

    /// Asks how many partitions the topic has; the error says what is wrong, in words.
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
            // The client was replaced, or stood still for longer than it may.
            Ok(Err(_)) | Err(_) => {
                inner.watch.failed(Trouble::Away, Instant::now());
                Err(PublishError::Unknown)
            }
        }
    }

    /// Drops messages that the client has not sent yet, by replacing it: the next leader sends them. The old client would
    /// try for as long as [`DELIVERY`], and send them behind what that leader has sent by then.
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

    /// Replaces a client that is to send no more, or that can't: Kafka expects other numbers than it would send.
    fn replace(&self, old: &Arc<Client>, why: &str) {
        let mut client = self.0.client.lock();
        // The failure of another message has replaced it already.
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

/// What an error means for the outlet, and what the relay is told; `None`: the trouble is this one message's.
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
            // These are said of a whole batch: Kafka does not say which message is at fault.
            | Code::InvalidRecord
            | Code::InvalidMessageSize,
        ) => (Some(Trouble::Refuses), PublishError::Unavailable),
        // The client's queue is full of messages that it could not deliver.
        Some(Code::QueueFull) => (Some(Trouble::Away), PublishError::Unavailable),
        _ => (Some(Trouble::Away), PublishError::Unknown),
    }
}

/// The client's settings; what is not named here is librdkafka's default.
fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("client.id", "waypost")
        // It implies: acknowledged by all in-sync replicas, retried without limit within the time, numbered against doubles.
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", DELIVERY.as_millis().to_string())
        .set("message.max.bytes", LARGEST.to_string())
        .set("batch.size", BATCH.to_string())
        .set("queue.buffering.max.messages", HELD.to_string())
        // The topic's owner creates it: one that is made for a client has the broker's default number of partitions.
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.propagation.max.ms", NEW_TOPIC.as_millis().to_string())
        .set("statistics.interval.ms", LOOK.as_millis().to_string())
        // The partition that Java's clients choose for a key: a reader that joins topics by key finds it in the same one.
        .set("partitioner", "murmur2_random")
        // Connected again within two seconds after a broker has come back.
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Hears what the client reports of itself; called in the client's threads.
struct Ear(Watch);

impl ClientContext for Ear {
    /// Logs at debug: librdkafka has a line for each lost connection, and [`Watch`] logs what it means for events.
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
