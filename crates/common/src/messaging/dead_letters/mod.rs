//! What those who run the system do with dead letters: list, show, replay, drop.
//!
//! The letters lie in `<queue>.dead` on RabbitMQ, or in the consumer's database where the broker is in memory. A look
//! ([`Look`]) goes through those of one queue and takes none out unless it is told to. A process that is killed meanwhile
//! loses none.

mod effect;
mod letter;
mod look;
mod place;
mod replays;

pub use effect::{Effect, Told};
pub use letter::Letter;
pub use look::Look;
pub use place::DeadLetters;
pub use replays::Replays;
