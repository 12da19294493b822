//! The second step of every message to the outside: from a delivery row to its outcome.
//!
//! A consumer only [`enqueue`]s, in its own transaction. The dispatcher ([`spawn_dispatcher`])
//! claims rows that are due, spread over destinations, hands each to the service's [`Sender`] and
//! writes the outcome, the row that tells of it and whatever the sender adds, in one transaction.
//!
//! What holds at all times:
//! - [`Status`] has one transition table, and every UPDATE carries its part of it: a final state is final;
//! - who sends holds a lease, with a number; a result under an older number is refused. A lease that
//!   runs out goes back to `pending`, so no crash leaves a row for ever;
//! - `next_attempt_at` is the only schedule;
//! - no transaction is open while a sender works.
//!
//! It never names a channel, a provider or a person, and never talks to the outside itself.

mod claim;
mod deliver;
pub mod delivery;
mod dispatcher;
mod enqueue;
mod load;
mod options;
mod outcome;
mod record;
mod sender;
mod status;

pub use delivery::Model as Delivery;
pub use dispatcher::spawn_dispatcher;
pub use enqueue::{NewDelivery, Settled, enqueue, insert_settled};
pub use load::Waker;
pub use options::DispatchOptions;
pub use outcome::Outcome;
pub use sender::{RecordError, Sender};
pub use status::{Reason, Status};
