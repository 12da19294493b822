//! The second step of every message to the outside: from a delivery row to its outcome.
//!
//! A consumer only [`enqueue`]s, in its own transaction. The [`Dispatcher`]
//! claims rows that are due, spread over destinations, and hands each to the service's [`Sender`]. In one transaction it
//! writes the outcome, what was exchanged with each provider, and whatever the sender adds.
//!
//! What holds at all times:
//! - [`Status`] has one transition table, and every UPDATE carries its part of it: a final state is final;
//! - who sends holds a lease, with a number; a result under an older number is refused. The lease is kept for as long as
//!   its holder reaches the database or the broker. When it runs out, the row goes back to `pending`: so no crash blocks a
//!   row for ever;
//! - when the service stops, a delivery that the other side can't have yet is handed back and costs no attempt. One that it
//!   may have is waited for; when no answer comes, its outcome is unknown;
//! - `next_attempt_at` is the only schedule;
//! - no transaction is open while a sender works;
//! - what an operator holds is not claimed. What an operator lets through is sent even while its destination rests.
//!
//! This module never names a channel, a provider or a person, and never talks to the outside itself.

pub mod attempt;
mod claim;
mod contact;
mod deliver;
pub mod delivery;
mod dispatcher;
mod enqueue;
mod find;
pub mod holds;
mod known_holds;
mod lease;
mod load;
mod options;
pub mod orders;
mod outcome;
mod progress;
mod record;
mod reply;
mod sender;
mod settle;
mod status;

pub use attempt::{Exchange, ExchangeStatus};
pub use delivery::Model as Delivery;
pub use dispatcher::Dispatcher;
pub use enqueue::{NewDelivery, Settled, enqueue, enqueue_last, insert_settled};
pub use find::{Filter, Keys, Page, find, find_by_keys};
pub use known_holds::Holds;
pub use load::Waker;
pub use options::DispatchOptions;
pub use outcome::{Outcome, Wait};
pub use progress::Progress;
pub use reply::Unsaid;
pub use sender::{RecordError, Sender};
pub use status::{Reason, Status};
