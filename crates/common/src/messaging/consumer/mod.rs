//! Consumers: what a handler is, and what happens to a message around it.

mod attempt;
mod rejection;
mod settlement;

use std::future::Future;
use std::time::Duration;

use contracts::topology::Queue;

pub(super) use attempt::Processor;
pub use rejection::Rejection;
pub(super) use settlement::Settlement;

use super::broker::{Broker, Kind};
use super::message::Message;
use super::{memory, rabbit};
use crate::config::Settings;
use crate::process::Tasks;
use crate::telemetry::Metrics;

/// Does what a queue's messages ask for.
///
/// Called inside the message's process span, possibly for several messages at once, and more than
/// once for the same message: its effects and the inbox row commit together, or not at all.
pub trait Handler: Send + Sync + 'static {
    /// Handles one message. `Ok` acknowledges it.
    ///
    /// # Errors
    /// [`Rejection::Retry`] for what may pass, [`Rejection::DeadLetter`] for what can't.
    ///
    /// # Cancel safety
    /// Dropped when its time is over, and at the end of the process; the message comes again. What it
    /// does after its commit may thus be left out, and must be found in another way too.
    fn handle(&self, message: &Message) -> impl Future<Output = Result<(), Rejection>> + Send;
}

/// How a consumer works; the same settings that the [`Broker`] was connected with.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Messages in hand at a time.
    pub prefetch: u16,
    /// A handler's time for one message, tries in place included.
    pub handler_timeout: Duration,
    /// Waits between attempts, each a delay queue; after the last comes the dead-letter queue.
    pub retry_delays: Vec<Duration>,
}

impl ConsumerOptions {
    /// As the settings say.
    pub fn new(settings: &Settings) -> Self {
        Self {
            prefetch: settings.broker.prefetch,
            handler_timeout: settings.broker.handler_timeout,
            retry_delays: settings.broker.retry_delays.clone(),
        }
    }
}

/// Consumes `queue` for as long as the service lives, whatever becomes of the broker meanwhile.
///
/// When the service stops, no new message is taken and what is in hand is finished.
pub fn spawn_consumer<H: Handler>(
    broker: &Broker,
    queue: Queue,
    handler: H,
    options: ConsumerOptions,
    metrics: &Metrics,
    tasks: &Tasks,
) {
    let stopping = tasks.stopping().clone();
    metrics.consumes(queue.name);
    let processor = Processor::new(broker.system(), queue, handler, options, metrics.clone());
    match broker.kind() {
        Kind::Rabbit(rabbit) => tasks.spawn("consumer", rabbit::consume(rabbit.clone(), processor, stopping)),
        Kind::Memory(memory) => tasks.spawn("consumer", memory::consume(memory.clone(), processor, stopping)),
    }
}
