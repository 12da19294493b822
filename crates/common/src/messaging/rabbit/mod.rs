//! RabbitMQ: quorum queues, confirmed publishes, two supervised connections.
//!
//! lapin, the AMQP client, has a recovery of its own, which is switched off: it rebuilds a connection in parts, and nobody
//! notices a consumer that was not rebuilt. Here a connection that breaks or falls silent is closed and replaced as a whole
//! (`session.rs`, `link.rs`), and whoever used it begins anew on the next one. What is missing on the broker is declared
//! again (`keeper.rs`), and events that waited for it are moved to it (`unrouted.rs`). A queue that has no leader is found
//! and reported (`leaders.rs`, `scout.rs`), and a consumer that the broker lost is made anew (`watch.rs`). Every await on
//! lapin has a deadline (`deadline.rs`): some of its calls can wait for ever.

mod amqp;
mod client;
mod consume;
mod dead;
mod deadline;
mod gather;
mod held;
mod keeper;
mod knock;
mod leaders;
mod link;
mod names;
mod nodes;
mod objects;
mod pace;
mod publish;
mod scout;
mod session;
mod signs;
mod socket;
mod topology;
mod tries;
mod unrouted;
mod watch;

pub(super) use client::Rabbit;
pub(super) use dead::{DeadQueue, Held};
