//! Watches over a consumer by asking the broker: nothing else notices that the broker has lost it.

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
    /// Resolves with the reason when the consumer must be made anew. That is so when at two looks in a row, with no message
    /// between them, the broker knows of no consumer, or messages wait while this one has none in hand.
    pub(super) async fn misses(&self, held: &Held) -> &'static str {
        let mut looks = Looks::default();
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
            // Not handled here: the pulse finds a connection that is silent, the end of the consumer a queue that is gone.
            let Ok(Some(counts)) = within(CALL, looking).await else {
                continue;
            };
            let missed = looks.misses(&counts, held.hand.taken(), held.hand.is_empty());
            if counts.is_nothing() {
                held.session.leaders().suspect();
            }
            if counts.consumers > 0 || missed.is_some() {
                self.metrics.queue_consumers(self.queue, counts.consumers);
            }
            if let Some(why) = missed {
                return why;
            }
        }
    }
}

/// What the look before showed. The numbers say how many messages had come by then.
#[derive(Default)]
struct Looks {
    /// The broker knew of no consumer.
    alone_at: Option<u64>,
    /// Messages waited, and none was in hand.
    idle_at: Option<u64>,
}

impl Looks {
    /// Takes what a look showed; answers why the consumer must be made anew, if it must.
    ///
    /// The broker also answers with no message and no consumer when the queue's leader does not answer it within 250 ms:
    /// so only the second such answer in a row is believed.
    fn misses(&mut self, counts: &Counts, taken: u64, is_empty: bool) -> Option<&'static str> {
        let is_alone = counts.consumers == 0;
        let was_alone = std::mem::replace(&mut self.alone_at, is_alone.then_some(taken));
        if is_alone {
            return (was_alone == Some(taken)).then_some("the broker knows of no consumer");
        }
        let is_idle = counts.messages > 0 && is_empty;
        let was_idle = std::mem::replace(&mut self.idle_at, is_idle.then_some(taken));
        (is_idle && was_idle == Some(taken)).then_some("messages wait and none comes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(messages: u32, consumers: u32) -> Counts {
        Counts { messages, consumers }
    }

    #[test]
    fn a_consumer_is_missed_at_the_second_look_without_it_and_a_delivery_in_between() {
        let mut looks = Looks::default();
        assert_eq!(looks.misses(&counts(0, 0), 7, true), None, "a leader that is slow once");
        assert_eq!(looks.misses(&counts(0, 1), 7, true), None);
        assert_eq!(looks.misses(&counts(0, 0), 7, true), None);
        assert_eq!(looks.misses(&counts(0, 0), 8, true), None, "one came");
        let missed = looks.misses(&counts(0, 0), 8, true);
        assert_eq!(missed, Some("the broker knows of no consumer"));
    }

    #[test]
    fn messages_that_wait_are_missed_at_the_second_look_by_one_that_has_none() {
        let mut looks = Looks::default();
        assert_eq!(looks.misses(&counts(5, 1), 7, true), None);
        assert_eq!(looks.misses(&counts(5, 1), 7, false), None, "it has its hands full");
        assert_eq!(looks.misses(&counts(5, 1), 7, true), None);
        assert_eq!(looks.misses(&counts(5, 1), 9, true), None, "some came");
        assert_eq!(
            looks.misses(&counts(5, 1), 9, true),
            Some("messages wait and none comes")
        );
    }
}
