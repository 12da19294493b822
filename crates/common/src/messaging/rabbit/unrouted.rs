//! Moves events that waited for a missing queue to where they belong.

use std::sync::Arc;
use std::time::Duration;

use contracts::envelope::header;
use contracts::topology::{QUEUES, Queue, UNROUTED};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::amqp;
use super::deadline::{CALL, CallError, within};
use super::names::{Destination, Names};
use super::publish::Publisher;
use super::session::Session;
use super::topology::count;
use crate::Timestamp;
use crate::messaging::wire::Wire;
use crate::telemetry::Metrics;

/// What stays is looked through again this often, although its number did not change.
const AGAIN: Duration = Duration::from_secs(30);
/// So many times as long as it took to find nothing, nobody looks: there may be very much that stays.
const REST: u32 = 9;

/// Looks after the queue of what found no queue.
///
/// An event of a type that some of our queues bind is there because one of them was missing. Which one, it does
/// not say, so each gets a copy; the inboxes drop those that came before. All else stays, to be seen.
pub(super) struct Unrouted {
    names: Arc<Names>,
    publisher: Publisher,
    metrics: Metrics,
    /// What stayed when it was last looked through.
    left: u32,
    rest_until: Instant,
    again_at: Instant,
}

/// What came of looking through it.
#[derive(Default)]
struct Sorted {
    moved: u32,
    left: u32,
    /// Age of the oldest that stays.
    oldest: Duration,
    /// A queue did not take what is its own.
    is_stuck: bool,
}

impl Unrouted {
    pub(super) fn new(names: Arc<Names>, publisher: Publisher, metrics: Metrics) -> Self {
        let now = Instant::now();
        Self {
            names,
            publisher,
            metrics,
            left: 0,
            rest_until: now,
            again_at: now,
        }
    }

    /// Looks how many there are, and through them when that may be worthwhile.
    pub(super) async fn look(&mut self, session: &Session) -> Result<(), CallError> {
        let channel = within(CALL, session.connection.create_channel()).await?;
        let name = self.names.unrouted();
        let Some(waiting) = within(CALL, count(&channel, &name)).await? else {
            session.misses("the queue of what found no queue");
            return Ok(());
        };
        let now = Instant::now();
        self.metrics.unrouted_messages(waiting.into());
        if waiting == 0 {
            self.left = 0;
            self.metrics.unrouted_oldest_age(Duration::ZERO);
        } else if now >= self.rest_until && (waiting != self.left || now >= self.again_at) {
            let sorted = self.sort(&channel, waiting).await?;
            self.remember(&sorted, now);
        }
        // What stays goes back with the channel.
        within(CALL, channel.close(200, "looked".into())).await
    }

    fn remember(&mut self, sorted: &Sorted, began: Instant) {
        self.left = if sorted.is_stuck { u32::MAX } else { sorted.left };
        let (now, took) = (Instant::now(), began.elapsed());
        // What is moved may have more of its kind behind it; strangers alone are not worth all of the time.
        let is_idle = sorted.moved == 0 && !sorted.is_stuck;
        self.rest_until = if is_idle { now + (took * REST).min(AGAIN) } else { now };
        self.again_at = now + AGAIN;
        self.metrics.unrouted_messages(sorted.left.into());
        self.metrics.unrouted_oldest_age(sorted.oldest);
        if sorted.moved > 0 {
            tracing::warn!(
                moved = sorted.moved,
                left = sorted.left,
                "events that waited for a missing queue were moved to where they belong"
            );
        }
    }

    /// Takes them out one after the other, those that were there at the beginning, and moves what is ours.
    async fn sort(&self, channel: &Channel, waiting: u32) -> Result<Sorted, CallError> {
        let mut sorted = Sorted::default();
        let name = self.names.unrouted();
        for _ in 0..waiting {
            let get = channel.basic_get(name.as_str().into(), BasicGetOptions::default());
            let Some(got) = within(CALL, get).await? else { break };
            let queues = self.owners(&got.delivery);
            let acker = got.delivery.acker.clone();
            let wire = amqp::read(got.delivery);
            if queues.is_empty() {
                sorted.left += 1;
                sorted.oldest = sorted.oldest.max(age(&wire));
            } else if self.moved(&queues, &wire).await {
                within(CALL, acker.ack(BasicAckOptions::default())).await?;
                sorted.moved += 1;
                self.metrics.message(UNROUTED, "moved");
            } else {
                sorted.left += 1;
                sorted.is_stuck = true;
                break;
            }
        }
        Ok(sorted)
    }

    /// Whose it is: of every queue that binds the type, or of the one before whose entry it was sent to.
    fn owners(&self, delivery: &Delivery) -> Vec<Queue> {
        let (exchange, key) = (delivery.exchange.as_str(), delivery.routing_key.as_str());
        let is_event = exchange == self.names.events();
        let is_owner =
            |queue: &&Queue| is_event && queue.bindings.contains(&key) || exchange == self.names.entry(queue.name);
        QUEUES.iter().filter(is_owner).copied().collect()
    }

    /// Puts a copy into each queue and waits for the confirmations: only then is the original done with.
    async fn moved(&self, queues: &[Queue], wire: &Wire) -> bool {
        for queue in queues {
            if let Err(error) = self.publisher.publish(&Destination::Work(queue.name), wire).await {
                tracing::warn!(queue = queue.name, %error, "an event can't be moved to its queue yet");
                return false;
            }
        }
        true
    }
}

/// How old an event is by its own account; one that does not say is taken for new.
fn age(wire: &Wire) -> Duration {
    let time = wire.header(header::TIME);
    let time = time.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    time.map_or(Duration::ZERO, |time| Timestamp::now().since(time.into()))
}
