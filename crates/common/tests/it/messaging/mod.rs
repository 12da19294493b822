//! One contract for both brokers, the relay on both databases, and what only RabbitMQ can suffer.

mod contract;
pub(crate) mod fixture;
mod inbox;
mod memory;
mod missing;
mod rabbit;
mod relay;
mod silence;
mod topology;
mod trace;
