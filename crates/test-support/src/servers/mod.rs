//! Private servers that one test may kill, freeze and start again.

mod postgres;
mod rabbit;
mod redis;
mod server;

pub use postgres::PrivatePostgres;
pub use rabbit::PrivateRabbit;
pub use redis::PrivateRedis;
pub use server::Server;
