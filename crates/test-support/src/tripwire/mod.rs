//! A way to a server that stops a conversation at one message: what a process that is killed right there leaves behind.

mod amqp;
mod laid;
mod message;
mod point;
mod postgres;
mod proxy;

pub use laid::Laid;
pub use point::Point;
pub use proxy::Tripwire;
