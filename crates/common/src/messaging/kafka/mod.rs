//! The outlet to Kafka: other systems read there what the services tell each other over the broker.
//!
//! It is off unless `outlets.kafka.url` is set, and exists only in a program that was built with the feature `kafka`: the
//! client is librdkafka, a library in C that takes a minute to build. It was chosen for its idempotent producer: it numbers
//! what it sends, so that its own retries neither double a message nor let one overtake another. Beside Java's client it is
//! the one that Kafka's makers maintain. The clients written in Rust send without such numbers.
//!
//! The outlet publishes what its relay hands it, and nothing else. What must not be here: a consumer, a topic that is
//! made or changed, a transaction of the database. The files use each other in one direction: `outlet` -> `producer` ->
//! `record`, `trouble`, `error`.

mod error;
mod outlet;
#[cfg(feature = "kafka")]
mod producer;
// Stands in for the client in a program that was built without it.
#[cfg(not(feature = "kafka"))]
#[path = "absent.rs"]
mod producer;
#[cfg_attr(
    not(any(feature = "kafka", test)),
    expect(dead_code, reason = "the client alone reads it, and it is not built in")
)]
mod record;
#[cfg_attr(
    not(any(feature = "kafka", test)),
    expect(dead_code, reason = "the client alone tells of it, and it is not built in")
)]
mod trouble;

pub use error::KafkaError;
pub use outlet::Kafka;
pub(super) use outlet::{NAME, WINDOW};
