//! The relay: publishes what the outbox holds and deletes what the broker confirmed.
//!
//! There is one for the broker and, where that outlet is on, one for Kafka: the same task over another table and
//! another publisher (`outlet.rs`), with a leader, a mark and a window of its own. What is said below of the broker holds
//! for Kafka.
//!
//! One relay at a time publishes a service's outbox (`database/leadership.rs`), so that nothing overtakes. No
//! transaction is open while the broker is waited for. A crash between a confirmation and the
//! delete sends a message twice, with the same id; the inboxes drop the copy.
//!
//! It is woken by commits, of its own process and of other replicas (`wake.rs`), and looks once a second anyhow. It
//! reads behind a mark, so that what was sent slows no read, however long its rows stay (`mark.rs`).
//!
//! A queue that is full holds back the types that go to it, and whatever follows one of theirs in its aggregate; one
//! message of such a type asks now and then whether there is room (`work.rs`). All else goes on. What one of Kafka's
//! partitions does not take is left alone, and one aggregate of it is tried again now and then (`unreached.rs`).

mod holds;
mod mark;
mod outlet;
mod rows;
mod task;
mod unreached;
mod wake;
mod work;

pub use task::{spawn_kafka_relay, spawn_relay};
