//! Watches over a consumer from the broker's side: one that the broker no longer has is missed by nobody else.

use std::time::Duration;

use tokio::time::sleep;

use super::deadline::{CALL, within};
use super::held::Held;
use super::topology::{Counts, counts};
use crate::telemetry::Metrics;

/// How often the broker is asked.
const LOOK: Duration = Duration::from_secs(5);

/// A consumer that is watched over.
pub(super) struct Watch<'a> {
    /// The queue as the metric names it.
    pub(super) queue: &'static str,
    /// The queue as the broker names it.
    pub(super) name: &'a str,
    pub(super) metrics: &'a Metrics,
}

impl Watch<'_> {
    /// Resolves, with why, when the consumer must be made anew: the broker knows of none, or messages wait for two looks
    /// and none comes to one that has nothing in hand.
    pub(super) async fn misses(&self, held: &Held) -> &'static str {
        let mut idle_at = None;
        loop {
            sleep(LOOK.mul_f64(rand::random_range(0.75..1.0))).await;
            let looking = async {
                let channel = held.session.connection.create_channel().await?;
                let counts = counts(&channel, self.name).await?;
                // A queue that is not there has cost its channel already.
                if counts.is_some() {
                    channel.close(200, "looked".into()).await?;
                }
                Ok(counts)
            };
            // A connection that does not answer is found by its pulse, a queue that is gone by its consumer's end.
            let Ok(Some(Counts { messages, consumers })) = within(CALL, looking).await else {
                continue;
            };
            self.metrics.queue_consumers(self.queue, consumers);
            if consumers == 0 {
                return "the broker knows of no consumer";
            }
            let taken = held.hand.taken();
            let is_idle = messages > 0 && held.hand.is_empty();
            if is_idle && idle_at == Some(taken) {
                return "messages wait and none comes";
            }
            idle_at = is_idle.then_some(taken);
        }
    }
}
