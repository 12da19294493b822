//! `waypost dlq` over real processes: on RabbitMQ and on the broker in memory.

mod embedded;
mod killed;
mod limit;
mod list;
mod many;
mod replay;
pub(crate) mod scene;
