//! What the relay has in hand, and what it leaves for later.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::holds::Holds;
use super::mark::Mark;
use super::outlet::Outlet;
use super::rows::NotNow;
use super::unreached::Unreached;
use crate::messaging::error::PublishError;
use crate::messaging::message::OutboundMessage;
use crate::messaging::outbox::row;
use crate::resilience::Backoff;
use crate::telemetry::Metrics;

/// How long an aggregate waits whose row can't be read or is too large for the outlet: somebody has to look at it.
const UNREADABLE: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_mins(1));
/// How long a type of message waits that the broker refuses. Then one of its messages is sent to see whether there is room.
const REFUSED: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(2));
/// RabbitMQ 3.10 tells a channel that a full queue has room again when a message leaves the queue, but not when the queue's
/// limit is raised or removed. A channel that is refused for so long is replaced, with its connection.
const DEAF: Duration = Duration::from_secs(15);
/// How many aggregates may be held back as unreadable before the relay stops reading.
const MAX_HELD: usize = 1_000;

/// How long confirmations are gathered at most while the broker still has plenty to do.
const GATHER: Duration = Duration::from_millis(10);

/// Rows that one statement deletes.
const MAX_DELETED: usize = 1_000;

/// What the relay has in hand: at most one message of an aggregate is on its way.
pub(super) struct Work {
    window: usize,
    publishing: FuturesUnordered<Pin<Box<dyn Future<Output = Published> + Send>>>,
    busy: HashSet<Uuid>,
    unreadable: Holds<Uuid>,
    /// Aggregates that the outlet could not send, where it may fail in parts.
    unreached: Option<Unreached>,
    /// Types of message that the broker refused: their queue is full, for every message of the type.
    refused: Holds<String>,
    /// Since when the broker refuses something; set again when the connection is replaced for that reason.
    refused_since: Option<Instant>,
    confirmed: Vec<i64>,
    /// All rows lie behind it.
    pub(super) mark: Mark,
}

/// How far the messages of one aggregate came.
struct Published {
    aggregate: Uuid,
    /// The type for which this was the probe, if it was one.
    probe: Option<String>,
    confirmed: Vec<Confirmed>,
    failure: Option<Failure>,
}

struct Confirmed {
    id: i64,
    kind: String,
}

enum Failure {
    Unreadable,
    Publish { id: i64, kind: String, error: PublishError },
}

impl Work {
    /// Nothing in hand yet, with the window of `outlet`.
    pub(super) fn of(outlet: &Outlet) -> Self {
        Self {
            unreached: outlet.fails_in_parts().then(Unreached::default),
            ..Self::new(outlet.window())
        }
    }

    fn new(window: usize) -> Self {
        Self {
            window,
            publishing: FuturesUnordered::new(),
            busy: HashSet::new(),
            unreadable: Holds::new(UNREADABLE),
            unreached: None,
            refused: Holds::new(REFUSED),
            refused_since: None,
            confirmed: Vec::new(),
            mark: Mark::new(Instant::now()),
        }
    }

    /// Whether more aggregates may be begun with; also forgets holds that ended long ago.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        self.unreadable.forget_old(now);
        self.confirmed.is_empty()
            && self.publishing.len() < self.window
            && self.unreadable.running(now).count() < MAX_HELD
    }

    /// How many aggregates the window has room for.
    pub(super) fn room(&self) -> u64 {
        u64::try_from(self.window.saturating_sub(self.publishing.len())).unwrap_or(u64::MAX)
    }

    /// The rows that the next read must leave out.
    pub(super) fn not_now(&self, now: Instant) -> NotNow {
        let unreadable = self.unreadable.running(now);
        let unreached = self.unreached.iter().flat_map(Unreached::all);
        NotNow {
            mark: self.mark.at(),
            aggregates: self.busy.iter().chain(unreadable).chain(unreached).copied().collect(),
            // A type stays held until a probe of it got through, also after its time is over.
            kinds: self.refused.known().cloned().collect(),
        }
    }

    /// The types that are to be probed now, with one message each. The call holds each back again, for longer.
    pub(super) fn due_for_a_probe(&mut self, now: Instant) -> Vec<String> {
        let kinds = self.refused.over(now);
        for kind in &kinds {
            self.refused.hold(kind.clone(), now);
        }
        kinds
    }

    /// Whether the broker has refused something for so long that it is worth asking over another connection.
    pub(super) fn is_refused_for_long(&mut self, now: Instant) -> bool {
        if self.refused.known().next().is_none() {
            self.refused_since = None;
            return false;
        }
        let since = *self.refused_since.get_or_insert(now);
        let for_long = now >= since + DEAF;
        if for_long {
            self.refused_since = Some(now);
        }
        for_long
    }

    /// When the next type is to be probed; `None` also while there is no room: whatever makes some leads to a look.
    pub(super) fn next_probe(&mut self, now: Instant) -> Option<Instant> {
        if self.has_room(now) {
            self.refused.next_over()
        } else {
            None
        }
    }

    /// Holds the type back no longer: no message of it waits for its own sake.
    pub(super) fn release(&mut self, kind: &str) {
        self.refused.release(&kind.to_owned());
    }

    /// Begins to publish `rows`, which stand in the order of their ids: aggregates side by side,
    /// the rows of each one after the other.
    pub(super) fn begin(&mut self, rows: Vec<row::Model>, outlet: &Outlet, metrics: &Metrics) {
        let mut order = Vec::new();
        let mut by_aggregate: HashMap<Uuid, Vec<row::Model>> = HashMap::new();
        for row in rows {
            self.mark.has_read(row.id);
            let aggregate = row.aggregate;
            let rows = by_aggregate.entry(aggregate).or_default();
            if rows.is_empty() {
                order.push(aggregate);
            }
            rows.push(row);
        }
        let room = self.window.saturating_sub(self.publishing.len());
        for aggregate in order.into_iter().take(room) {
            let rows = by_aggregate.remove(&aggregate).unwrap_or_default();
            self.busy.insert(aggregate);
            self.publishing
                .push(Box::pin(in_order(aggregate, rows, outlet.clone(), metrics.clone())));
        }
    }

    /// Begins to publish one aggregate's `rows`, to see whether messages of type `kind` are taken again.
    pub(super) fn probe(&mut self, kind: String, rows: Vec<row::Model>, outlet: &Outlet, metrics: &Metrics) {
        let Some(aggregate) = rows.first().map(|row| row.aggregate) else {
            return;
        };
        self.busy.insert(aggregate);
        let publishing = in_order(aggregate, rows, outlet.clone(), metrics.clone());
        self.publishing.push(Box::pin(publishing.map(|published| Published {
            probe: Some(kind),
            ..published
        })));
    }

    /// An aggregate that could not go and is to be tried again now, with the id of its first row.
    pub(super) fn due_for_another_try(&mut self, now: Instant) -> Option<(Uuid, i64)> {
        self.unreached.as_mut()?.next(now)
    }

    /// Begins to publish the `rows` of an aggregate that is tried again; forgets it when there are none.
    pub(super) fn try_again(&mut self, aggregate: Uuid, rows: Vec<row::Model>, outlet: &Outlet, metrics: &Metrics) {
        if rows.is_empty() {
            self.unreached.iter_mut().for_each(|all| all.forget(aggregate));
            return;
        }
        self.busy.insert(aggregate);
        self.publishing
            .push(Box::pin(in_order(aggregate, rows, outlet.clone(), metrics.clone())));
    }

    /// An aggregate that was to be tried again could not be read: the next one is tried after a pause.
    pub(super) fn not_tried(&mut self, aggregate: Uuid, now: Instant) {
        if let Some(unreached) = &mut self.unreached {
            unreached.failed_again(aggregate, now);
        }
    }

    /// Waits until an aggregate's messages are confirmed or one of them failed; takes every aggregate that is that far.
    /// Says whether it is worth looking for more rows. `None`: nothing is on its way.
    ///
    /// While more than three quarters of the window are on their way it goes on taking, for [`GATHER`] at most: a delete
    /// and a read cost the same for one message and for a hundred.
    ///
    /// # Cancel safety
    /// What was taken stays taken; whoever drops this looks for more rows.
    pub(super) async fn next_published(&mut self) -> Option<bool> {
        let mut next = Some(self.publishing.next().await?);
        let mut look = false;
        let end = Instant::now() + GATHER;
        while let Some(published) = next {
            look |= self.take(published, Instant::now());
            next = if self.publishing.len() > self.window / 4 * 3 {
                timeout_at(end, self.publishing.next()).await.ok().flatten()
            } else {
                self.publishing.next().now_or_never().flatten()
            };
        }
        Some(look)
    }

    /// Some of the ids that were confirmed and whose rows are still there; `None`: there are none.
    pub(super) fn confirmed(&self) -> Option<Vec<i64>> {
        let some = &self.confirmed[..self.confirmed.len().min(MAX_DELETED)];
        (!some.is_empty()).then(|| some.to_vec())
    }

    /// The rows of the first `count` confirmed ids are deleted.
    pub(super) fn forget_confirmed(&mut self, count: usize) {
        self.confirmed.drain(..count);
    }

    /// Notes whether messages of `aggregate` can reach the outlet, where it may fail in parts.
    fn note_reach(&mut self, aggregate: Uuid, any_went: bool, failure: Option<&Failure>, now: Instant) {
        let Some(unreached) = &mut self.unreached else {
            return;
        };
        if any_went {
            unreached.went(aggregate);
        }
        match failure {
            None => {}
            Some(Failure::Publish {
                id,
                error: PublishError::Unavailable | PublishError::Unknown,
                ..
            }) => {
                unreached.failed_again(aggregate, now);
                unreached.add(aggregate, *id, now);
            }
            Some(_) => unreached.forget(aggregate),
        }
    }

    fn take(&mut self, published: Published, now: Instant) -> bool {
        let Published {
            aggregate,
            probe,
            confirmed,
            failure,
        } = published;
        self.busy.remove(&aggregate);
        // Only a probe tells that there is room: others of the type may have been sent before the queue was full.
        if let Some(kind) = probe
            && confirmed.iter().any(|one| one.kind == kind)
            && self.refused.release(&kind)
        {
            tracing::info!(kind, "the broker takes events of this type again");
        }
        self.note_reach(aggregate, !confirmed.is_empty(), failure.as_ref(), now);
        self.confirmed.extend(confirmed.iter().map(|one| one.id));
        match failure {
            None => {
                self.unreadable.release(&aggregate);
                true
            }
            Some(Failure::Unreadable) => {
                self.unreadable.hold(aggregate, now);
                true
            }
            Some(Failure::Publish { kind, error, .. }) => match error {
                // The outlet's trouble, not this message's: the relay waits for the outlet or its next poll.
                PublishError::Unavailable | PublishError::Unknown => false,
                PublishError::TooLarge => {
                    tracing::error!(kind, %aggregate, "an event is larger than the topic takes, and what follows it waits");
                    self.unreadable.hold(aggregate, now);
                    true
                }
                PublishError::Refused | PublishError::Unroutable => {
                    if let Some(wait) = self.refused.hold(kind.clone(), now) {
                        tracing::warn!(kind, %error, ?wait, "events of this type wait; others go on");
                    }
                    true
                }
            },
        }
    }
}

/// Publishes one aggregate's rows, each once the one before it is confirmed. Ends with the first that is not.
async fn in_order(aggregate: Uuid, rows: Vec<row::Model>, outlet: Outlet, metrics: Metrics) -> Published {
    let mut published = Published {
        aggregate,
        probe: None,
        confirmed: Vec::with_capacity(rows.len()),
        failure: None,
    };
    for row in rows {
        let (id, kind) = (row.id, row.kind.clone());
        let message = match OutboundMessage::try_from(row) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%error, %aggregate, outbox_id = id, "an outbox row can't be read, and what follows it waits");
                published.failure = Some(Failure::Unreadable);
                break;
            }
        };
        if let Err(error) = outlet.publish(message).await {
            published.failure = Some(Failure::Publish { id, kind, error });
            break;
        }
        metrics.message(outlet.counted_as(), "published");
        published.confirmed.push(Confirmed { id, kind });
    }
    published
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
