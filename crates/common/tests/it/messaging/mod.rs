//! One contract for both brokers, the relay on both databases, and what only RabbitMQ can suffer.

mod attempts;
mod batch;
mod contract;
mod effects;
pub(crate) mod fixture;
mod full_queue;
mod gate;
mod inbox;
mod killed;
mod leaderless;
mod mark;
mod memory;
mod missing;
mod nodes;
mod rabbit;
mod relay;
mod silence;
mod slow_start;
mod ten_thousand;
mod topology;
mod trace;
