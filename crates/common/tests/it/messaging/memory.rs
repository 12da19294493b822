//! What the memory broker promises beside the contract: a confirmation means that all is done.

use std::sync::Arc;

use common::messaging::PublishError;
use contracts::topology::EMAIL_WORKER_EVENTS;
use futures_util::FutureExt;
use test_support::eventually;
use tokio::sync::Semaphore;

use super::fixture::{Fixture, SOON, done, fail, outbound, someone};

#[tokio::test]
async fn a_publish_is_confirmed_when_every_queue_is_done_with_it() {
    let fixture = Fixture::memory().await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let gate = Arc::new(Semaphore::new(0));
    let opens = gate.clone();
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |message| {
        let (opens, attempt) = (opens.clone(), message.attempt);
        Box::pin(async move {
            opens.acquire().await.unwrap().forget();
            if attempt == 1 { fail("once more").await } else { Ok(()) }
        })
    });
    let mut publish = Box::pin(fixture.broker.publish(outbound(&someone())));

    assert!((&mut publish).now_or_never().is_none());
    seen.reaches(1).await;
    gate.add_permits(1);
    seen.reaches(2).await;
    assert!(
        (&mut publish).now_or_never().is_none(),
        "a message that waits for another try is not done"
    );
    gate.add_permits(1);

    assert_eq!(publish.await, Ok(()));
    fixture.end().await;
}

#[tokio::test]
async fn what_its_consumer_leaves_behind_is_not_confirmed() {
    let fixture = Fixture::memory_with(&[3_600_000]).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| fail("not today"));
    let broker = fixture.broker.clone();
    let waiting = outbound(&someone());
    let (outcome, ()) = tokio::join!(broker.publish(waiting.clone()), async {
        seen.reaches(1).await;
        fixture.end().await;
    });
    assert_eq!(outcome, Err(PublishError::Unavailable));
    assert_eq!(
        broker.publish(waiting.clone()).await,
        Err(PublishError::Unavailable),
        "nobody consumes any more"
    );

    let mut next = Fixture::memory().await;
    next.broker = broker;
    next.consume_others(EMAIL_WORKER_EVENTS);
    next.consume(EMAIL_WORKER_EVENTS, |_| done());
    eventually(SOON, async || next.broker.publish(waiting.clone()).await.is_ok()).await;
    next.end().await;
}
