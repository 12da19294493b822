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

/// Events that stay are looked through again this often, even if their number did not change.
const AGAIN: Duration = Duration::from_secs(30);
/// After a look that moved nothing, the pause is so many times as long as it took, [`AGAIN`] at most: very many may stay.
const REST: u32 = 9;

/// Looks after the queue of events that found no queue of their own.
///
/// An event is there although some of our queues bind its type, because one of them was missing. It does not say which one,
/// so each gets a copy; the inboxes drop copies of what came before. Other events stay, so that somebody can see them.
pub(super) struct Unrouted {
    names: Arc<Names>,
    publisher: Publisher,
    metrics: Metrics,
    /// How many events stayed at the last look through the queue; `u32::MAX` when it broke off.
    left: u32,
    rest_until: Instant,
    again_at: Instant,
}

/// What came of a look through the queue.
#[derive(Default)]
struct Sorted {
    moved: u32,
    left: u32,
    /// Age of the oldest that stays.
    oldest: Duration,
    /// A queue did not take an event that belongs to it; the look broke off there.
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

    /// Counts the events, and looks through them when it may be worth it.
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
        // Events that stay go back to the queue when the channel closes.
        within(CALL, channel.close(200, "looked".into())).await
    }

    fn remember(&mut self, sorted: &Sorted, began: Instant) {
        self.left = if sorted.is_stuck { u32::MAX } else { sorted.left };
        let (now, took) = (Instant::now(), began.elapsed());
        // After an event that was moved there may be more to move. A queue in which all stay is not worth so much time.
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

    /// Gets the first `waiting` events one after the other, and moves those that belong to our queues.
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

    /// The queues it belongs to: all that bind its type, or the one to whose entry exchange it was sent.
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

/// How old an event is by its own time; zero where it has none.
fn age(wire: &Wire) -> Duration {
    let time = wire.header(header::TIME);
    let time = time.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    time.map_or(Duration::ZERO, |time| Timestamp::now().since(time.into()))
}
