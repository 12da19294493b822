//! Messages between services: at least once on the wire, effectively once in their effect.
//!
//! The way of a message, and the file that holds each step:
//!
//! 1. [`Outbox::append`] writes it in the transaction of the change that it tells of;
//! 2. the relay ([`spawn_relay`]) publishes what was committed, one aggregate's events in order,
//!    and deletes a row when the broker confirmed it;
//! 3. the [`Broker`] (`RabbitMQ`, or memory for one process) routes it to every bound queue;
//! 4. a consumer ([`spawn_consumer`]) hands it to a [`Handler`] and settles it exactly once: done,
//!    tried again later through a delay queue, or set aside in the dead-letter queue;
//! 5. [`inbox::first_time`], in the handler's transaction, drops what was handled before.
//!
//! What must not be here: a publish of a new message other than from an outbox; a transaction that
//! is open while the broker is waited for; an await on the broker without a deadline; a body in a
//! log line.

mod broker;
mod consumer;
mod dead_letter;
pub mod inbox;
mod memory;
mod message;
mod outbox;
mod rabbit;
mod relay;
mod trace;
mod wire;

pub use broker::{Broker, BrokerError, PublishError};
pub use consumer::{ConsumerOptions, Handler, Rejection, spawn_consumer};
pub use dead_letter::DeadLetter;
pub use message::{Message, OutboundMessage};
pub use outbox::{Outbox, OutboxError};
pub use relay::spawn_relay;
