//! Messages between services: at least once on the wire, effectively once in their effect.
//!
//! The way of a message, and the file that holds each step:
//!
//! 1. a [`Change`] writes it in the transaction of the change that it tells of (`change.rs`, `outbox.rs`), or a
//!    [`Creation`] with the one row that it makes (`creation.rs`);
//! 2. the relay ([`spawn_relay`]) publishes what was committed, one aggregate's events in order,
//!    and deletes a row when the broker confirmed it;
//! 3. the [`Broker`] (RabbitMQ, or memory for one process) routes it to every bound queue;
//! 4. a [`Consumer`] opens a change, remembers the message in the inbox, hands it to its [`Intake`] and settles
//!    it exactly once: done, tried again later through a delay queue, or set aside in the dead-letter queue.
//!    A message that was taken in before changes nothing. While the consumer's own database is in trouble, it takes no
//!    message, and what it has in hand goes back without a counted attempt (`consumer/gate.rs`).
//!
//! Those who run the system look at what was set aside, replay it or drop it ([`DeadLetters`]). It lies in the broker's
//! dead-letter queue, or, where the broker is in memory, in a table of the consumer's (`dead_rows.rs`).
//!
//! Where `outlets.kafka` is on, a change writes its events a second time, and a second relay ([`spawn_kafka_relay`]) publishes
//! those to Kafka, for other systems ([`Kafka`]). No service reads there.
//!
//! Signs of life go over the broker too (`sign.rs`). They are no messages: those who listen hear them, nobody keeps them.
//!
//! What must not be here: a publish of a new message other than from an outbox; a transaction that
//! is open while the broker is waited for; an await on RabbitMQ or Kafka without a deadline; a body in a
//! log line. The files use each other in one direction: `relay`, `broker`, `kafka` -> `rabbit`, `memory` ->
//! `consumer` -> `change` -> `message` -> `rejection`, `wire`, `error`.

mod broker;
mod change;
mod consumer;
mod creation;
mod dead_letter;
mod dead_letters;
mod dead_rows;
mod error;
mod fingerprint;
mod inbox;
mod kafka;
mod memory;
mod message;
mod outbox;
mod rabbit;
mod rejection;
mod relay;
mod replayed;
mod sign;
mod told;
mod trace;
mod wire;

pub use broker::Broker;
pub use change::{Change, Changes};
pub use consumer::{Consumer, ConsumerOptions, Consuming, Intake};
pub use creation::Creation;
pub use dead_letter::DeadLetter;
pub use dead_letters::{DeadLetters, Effect, Letter, Look, Replays, Told};
pub use error::{BrokerError, DeadLettersError, PublishError};
pub use kafka::{Kafka, KafkaError};
pub use message::{Message, OutboundMessage};
pub use outbox::OutboxError;
pub use rejection::Rejection;
pub use relay::{spawn_kafka_relay, spawn_relay};
pub(crate) use sign::SignOfLife;
pub use told::Step;
