//! The relay: publishes what the outbox holds and deletes what the broker confirmed.
//!
//! One relay at a time publishes a service's outbox (`leader.rs`), so that nothing overtakes. No
//! transaction is open while the broker is waited for. A crash between a confirmation and the
//! delete sends a message twice, with the same id; the inboxes drop the copy.

mod leader;
mod task;
mod work;

pub use task::spawn_relay;
