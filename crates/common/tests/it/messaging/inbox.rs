//! A redelivery changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::messaging::{Change, Intake, Message, Rejection};
use contracts::topology::{EMAIL_WORKER_EVENTS, QUEUES};
use test_support::eventually;

use super::fixture::{Fixture, SOON, Store, outbound, someone};

#[tokio::test]
async fn a_message_is_taken_in_once_on_postgres() {
    a_message_is_taken_in_once(Store::postgres().await, Fixture::rabbit().await).await;
}

#[tokio::test]
async fn a_message_is_taken_in_once_on_sqlite() {
    a_message_is_taken_in_once(Store::sqlite().await, Fixture::memory().await).await;
}

/// Counts what it is given, and fails as often as it is told to.
#[derive(Clone, Default)]
struct Counting {
    given: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
}

impl Intake for Counting {
    async fn take(&self, _: &Message, _: &mut Change) -> Result<(), Rejection> {
        self.given.fetch_add(1, Ordering::SeqCst);
        let one_less = |left: usize| left.checked_sub(1);
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(Rejection::retry("not yet")),
            Err(_) => Ok(()),
        }
    }
}

async fn a_message_is_taken_in_once(store: Store, fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let counting = Counting::default();
    fixture.consume_into(&store, EMAIL_WORKER_EVENTS, counting.clone());
    let message = outbound(&someone());

    for _ in 0..20 {
        fixture.publish(message.clone());
    }

    let acked = "queue=\"email-worker.events\",outcome=\"ack\"} 20";
    eventually(SOON, async || fixture.metrics.render().contains(acked)).await;
    // Two at once both begin; the second waits for the first one's commit and takes nothing in.
    assert_eq!(counting.given.load(Ordering::SeqCst), 1);
    fixture.end().await;
}

#[tokio::test]
async fn each_consumer_has_its_own_memory() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let fixture = Fixture::memory().await;
        let counting = Counting::default();
        for queue in QUEUES {
            fixture.consume_into(&store, *queue, counting.clone());
        }

        fixture.broker.publish(outbound(&someone())).await.unwrap();

        assert_eq!(counting.given.load(Ordering::SeqCst), QUEUES.len());
        fixture.end().await;
    }
}

#[tokio::test]
async fn what_was_not_taken_in_is_not_remembered() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let fixture = Fixture::memory().await;
        fixture.consume_others(EMAIL_WORKER_EVENTS);
        let counting = Counting::default();
        counting.failures.store(1, Ordering::SeqCst);
        fixture.consume_into(&store, EMAIL_WORKER_EVENTS, counting.clone());

        fixture.broker.publish(outbound(&someone())).await.unwrap();

        assert_eq!(
            counting.given.load(Ordering::SeqCst),
            2,
            "once more after the failure, and taken in"
        );
        fixture.end().await;
    }
}
