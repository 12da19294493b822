//! Consumers: what an intake is, and what is done with a message before and after it. Nothing here knows a broker.

mod batch;
mod consuming;
mod gate;
mod intake;
mod options;
mod processor;
mod settlement;

pub use consuming::Consuming;
pub use intake::{Consumer, Intake};
pub use options::ConsumerOptions;
pub(super) use processor::Processor;
pub(super) use settlement::Settlement;
