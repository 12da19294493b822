//! RabbitMQ: quorum queues, confirmed publishes, two supervised connections.
//!
//! lapin's own recovery is switched off. It rebuilds parts, and a part that is not rebuilt is a
//! consumer that nobody misses; here a connection that breaks, falls silent or finds its topology
//! missing is replaced as a whole (`link.rs`), and whoever used it begins anew on the next one.
//! Every await on lapin has a deadline (`deadline.rs`): some of its calls can wait for ever.

mod amqp;
mod client;
mod consume;
mod deadline;
mod knock;
mod link;
mod names;
mod publish;
mod signs;
mod topology;

pub(super) use client::Rabbit;
