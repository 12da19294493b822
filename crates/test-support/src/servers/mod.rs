//! Private servers that one test may kill, freeze and start again.

mod kafka;
mod names;
mod postgres;
mod rabbit;
mod rabbit_cluster;
mod redis;
mod sentinel;
mod server;
mod tls_redis;

pub use kafka::{KafkaRecord, PrivateKafka};
pub use postgres::PrivatePostgres;
pub use rabbit::PrivateRabbit;
pub use rabbit_cluster::PrivateRabbitCluster;
pub use redis::PrivateRedis;
pub use sentinel::PrivateSentinel;
pub use server::Server;
pub use tls_redis::PrivateTlsRedis;
