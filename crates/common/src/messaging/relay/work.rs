//! What the relay has in hand.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;
use uuid::Uuid;

use crate::messaging::broker::Broker;
use crate::messaging::error::PublishError;
use crate::messaging::message::OutboundMessage;
use crate::messaging::outbox::row;
use crate::telemetry::Metrics;

/// First wait of an aggregate whose message was refused; doubles to the last.
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LAST_HOLD: Duration = Duration::from_mins(1);
/// Aggregates that may be held back before the relay stops reading further.
const MAX_HELD: usize = 1_000;

/// Rows that one statement deletes; databases bound the parameters of one.
const MAX_DELETED: usize = 1_000;

/// What the relay has in hand: at most one message of an aggregate is on its way.
pub(super) struct Work {
    window: usize,
    publishing: FuturesUnordered<Pin<Box<dyn Future<Output = Published> + Send>>>,
    busy: HashSet<Uuid>,
    held: HashMap<Uuid, Held>,
    confirmed: Vec<i64>,
}

struct Held {
    until: Instant,
    wait: Duration,
}

/// How far the messages of one aggregate came.
struct Published {
    aggregate: Uuid,
    confirmed: Vec<i64>,
    failure: Option<PublishError>,
}

impl Work {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            publishing: FuturesUnordered::new(),
            busy: HashSet::new(),
            held: HashMap::new(),
            confirmed: Vec::new(),
        }
    }

    /// Whether more may be begun. Lets go of what was held back for long enough.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        // An entry stays a while after its time, so that the next refusal waits longer.
        self.held.retain(|_, held| now < held.until + LAST_HOLD);
        self.confirmed.is_empty() && self.publishing.len() < self.window && self.held.len() < MAX_HELD
    }

    /// How many aggregates may be begun.
    pub(super) fn room(&self) -> u64 {
        u64::try_from(self.window.saturating_sub(self.publishing.len())).unwrap_or(u64::MAX)
    }

    /// Aggregates whose rows must stay where they are for now.
    pub(super) fn not_now(&self) -> Vec<Uuid> {
        let now = Instant::now();
        let held = self
            .held
            .iter()
            .filter(|(_, held)| now < held.until)
            .map(|(aggregate, _)| *aggregate);
        self.busy.iter().copied().chain(held).collect()
    }

    /// Begins to publish `rows`, which stand in the order of their ids: aggregates side by side,
    /// the rows of each one after the other.
    pub(super) fn begin(&mut self, rows: Vec<row::Model>, broker: &Broker, metrics: &Metrics) {
        let mut order = Vec::new();
        let mut by_aggregate: HashMap<Uuid, Vec<row::Model>> = HashMap::new();
        for row in rows {
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
                .push(Box::pin(in_order(aggregate, rows, broker.clone(), metrics.clone())));
        }
    }

    /// Waits until an aggregate's messages are through, or one of them is not; takes all that are.
    /// Says whether looking for more is worthwhile. `None`: nothing is on its way.
    pub(super) async fn next_published(&mut self) -> Option<bool> {
        let mut next = Some(self.publishing.next().await?);
        let mut look = false;
        while let Some(published) = next {
            look |= self.take(published);
            next = self.publishing.next().now_or_never().flatten();
        }
        Some(look)
    }

    /// Some of the ids that the broker confirmed and that are still rows; `None`: there are none.
    pub(super) fn confirmed(&self) -> Option<Vec<i64>> {
        let some = &self.confirmed[..self.confirmed.len().min(MAX_DELETED)];
        (!some.is_empty()).then(|| some.to_vec())
    }

    /// The first `count` of them are gone.
    pub(super) fn forget_confirmed(&mut self, count: usize) {
        self.confirmed.drain(..count);
    }

    fn take(&mut self, published: Published) -> bool {
        let Published {
            aggregate,
            confirmed,
            failure,
        } = published;
        self.busy.remove(&aggregate);
        self.confirmed.extend(confirmed);
        match failure {
            None => {
                self.held.remove(&aggregate);
                true
            }
            // The broker's trouble, not this message's: the relay waits for the broker or its next poll.
            Some(PublishError::Unavailable | PublishError::Unknown) => false,
            Some(error @ (PublishError::Refused | PublishError::Unroutable)) => {
                let wait = self
                    .held
                    .get(&aggregate)
                    .map_or(FIRST_HOLD, |held| (held.wait * 2).min(LAST_HOLD));
                tracing::warn!(%aggregate, %error, ?wait, "an outbox row waits");
                let until = Instant::now() + wait;
                self.held.insert(aggregate, Held { until, wait });
                true
            }
        }
    }
}

/// Publishes one aggregate's rows, each after the one before it was confirmed, up to the first that is not.
async fn in_order(aggregate: Uuid, rows: Vec<row::Model>, broker: Broker, metrics: Metrics) -> Published {
    let mut published = Published {
        aggregate,
        confirmed: Vec::with_capacity(rows.len()),
        failure: None,
    };
    for row in rows {
        let id = row.id;
        let outcome = match OutboundMessage::try_from(row) {
            Ok(message) => broker.publish(message).await,
            Err(error) => {
                tracing::error!(%error, outbox_id = id, "an outbox row can't be read");
                Err(PublishError::Refused)
            }
        };
        if let Err(error) = outcome {
            published.failure = Some(error);
            break;
        }
        metrics.message(contracts::topology::EVENTS_EXCHANGE, "published");
        published.confirmed.push(id);
    }
    published
}
