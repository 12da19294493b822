//! Dead letters as those work on them who run the system: list, show, replay, drop.
//!
//! They stay where they are: in `<queue>.dead` on RabbitMQ, in the consumer's database where the broker is in memory. A look
//! ([`Look`]) goes through those of one queue and holds a few at a time; a process that is killed meanwhile loses none.

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
