//! The relay: publishes what the outbox holds and deletes what the broker confirmed.
//!
//! There is one for the broker and, where that outlet is on, one for Kafka: the same task over another table and
//! another publisher (`outlet.rs`), with a leader, a mark and a window of its own. What follows is said of the broker, and
//! holds for Kafka too.
//!
//! One relay at a time publishes a service's outbox (`database/leadership.rs`), so that nothing overtakes. No
//! transaction is open while the broker is waited for. A crash between a confirmation and the
//! delete sends a message twice, with the same id; the inboxes drop the copy.
//!
//! It is woken by commits, of its own process and of other replicas (`wake.rs`), and looks once a second anyhow. It
//! reads behind a mark, so that rows that were sent slow no read, however long PostgreSQL keeps them (`mark.rs`).
//!
//! A full queue holds back the types of message that go to it, and in each aggregate whatever follows such a message. Now
//! and then one message of such a type is sent, to see whether there is room (`work.rs`). All else goes on. Where one of
//! Kafka's partitions takes nothing, its aggregates are left alone, and one is tried again now and then (`unreached.rs`).

mod holds;
mod mark;
mod outlet;
mod rows;
mod task;
mod unreached;
mod wake;
mod work;

pub use task::{spawn_kafka_relay, spawn_relay};
