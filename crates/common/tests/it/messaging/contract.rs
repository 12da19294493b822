//! What a consumer and a publisher may rely on, whichever broker there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::config::Service;
use common::messaging::OutboundMessage;
use common::process::Tasks;
use contracts::events::UserRegistered;
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS, QUEUES};
use test_support::eventually;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::fixture::{Act, Fixture, SOON, done, email_sent, fail, outbound, someone};

/// Runs each test once on either broker.
macro_rules! on_both_brokers {
    ($($test:ident),* $(,)?) => {
        mod on_rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Fixture::rabbit().await).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Fixture::memory().await).await;
            })*
        }
    };
}

pub(super) use on_both_brokers;

on_both_brokers!(
    an_event_reaches_every_bound_queue,
    an_event_that_nobody_binds_is_confirmed,
    a_message_that_waits_holds_nobody_up,
    no_more_messages_than_asked_for_are_in_hand,
    what_is_in_hand_is_finished_at_the_end,
    two_consumers_share_a_queue,
);

async fn an_event_reaches_every_bound_queue(fixture: Fixture) {
    let seen: Vec<_> = QUEUES.iter().map(|queue| fixture.consume(*queue, |_| done())).collect();
    let event = someone();

    fixture.broker.publish(outbound(&event)).await.unwrap();

    for seen in seen {
        let message = seen.reaches(1).await.remove(0);
        assert_eq!((message.id, message.kind.as_str()), (event.id, "user.registered.v1"));
        assert_eq!((message.subject, message.attempt), (Some(event.subject), 1));
        assert_eq!(message.decode::<UserRegistered>().unwrap(), event.data);
    }
    let counted = "waypost_messages_total{service=\"email-worker\",queue=\"email-worker.events\",outcome=\"ack\"} 1";
    eventually(SOON, async || fixture.metrics.render().contains(counted)).await;
    fixture.end().await;
}

async fn an_event_that_nobody_binds_is_confirmed(fixture: Fixture) {
    let event = outbound(&someone());
    let headers = event.headers().clone();
    let stranger = OutboundMessage::from_parts(event.id(), "nobody.cares.v1".into(), headers, event.body().clone());

    fixture.broker.publish(stranger).await.unwrap();
    fixture.end().await;
}

async fn a_message_that_waits_holds_nobody_up(fixture: Fixture) {
    fixture.consume_others(GATEWAY_EVENTS);
    let slow = email_sent();
    let slow_id = slow.id;
    let seen = fixture.consume(GATEWAY_EVENTS, move |message| {
        if message.id == slow_id && message.attempt == 1 {
            fail("later")
        } else {
            done()
        }
    });

    fixture.publish(outbound(&slow));
    seen.reaches(1).await;
    let others: Vec<_> = (0..50).map(|_| someone()).collect();
    for other in &others {
        fixture.publish(outbound(other));
    }

    let handled: Vec<_> = seen
        .reaches(others.len() + 2)
        .await
        .iter()
        .map(|message| message.id)
        .collect();
    assert_eq!(handled.iter().filter(|id| **id == slow_id).count(), 2);
    assert!(others.iter().all(|other| handled.contains(&other.id)));
    fixture.end().await;
}

async fn no_more_messages_than_asked_for_are_in_hand(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut options = fixture.options();
    options.prefetch = 3;
    let counted = (now.clone(), most.clone());
    let alone = AtomicUsize::new(3);
    let seen = fixture.consume_as(&fixture.tasks, EMAIL_WORKER_EVENTS, options, move |_| {
        // A consumer begins with three that come one at a time.
        if alone
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
        {
            return done();
        }
        let (now, most) = counted.clone();
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // The first ones wait for the third, however slowly it comes; a fourth would come meanwhile.
            eventually(SOON, async || most.load(Ordering::SeqCst) >= 3).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
    });

    for _ in 0..33 {
        fixture.publish(outbound(&someone()));
    }

    seen.reaches(33).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    fixture.end().await;
}

async fn what_is_in_hand_is_finished_at_the_end(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let gate = Arc::new(Semaphore::new(0));
    let finished = Arc::new(AtomicUsize::new(0));
    let worker = Tasks::new(Service::EmailWorker);
    let (opens, counts) = (gate.clone(), finished.clone());
    let seen = fixture.consume_as(&worker, EMAIL_WORKER_EVENTS, fixture.options(), move |_| {
        let (opens, counts) = (opens.clone(), counts.clone());
        Box::pin(async move {
            opens.acquire().await.unwrap().forget();
            counts.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    });
    // The first ones come one by one (slow start), a fourth one maybe, too. Several are in hand when that one is done.
    gate.add_permits(4);
    for _ in 0..9 {
        fixture.publish(outbound(&someone()));
    }
    seen.reaches(9).await;
    eventually(SOON, async || finished.load(Ordering::SeqCst) == 4).await;

    let opening = async {
        worker.stopping().cancelled().await;
        assert_eq!(finished.load(Ordering::SeqCst), 4);
        gate.add_permits(5);
    };
    let (ended, ()) = tokio::join!(worker.shut_down(SOON), opening);
    ended.unwrap();

    assert_eq!(finished.load(Ordering::SeqCst), 9);
    let again = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let last = someone();
    fixture.publish(outbound(&last));
    assert_eq!(again.reaches(1).await[0].id, last.id, "what was finished came again");
    fixture.end().await;
}

async fn two_consumers_share_a_queue(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let slowly = |_: &_| -> Act {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        })
    };
    let mut options = fixture.options();
    options.prefetch = 2;
    let one = fixture.consume_as(&fixture.tasks, EMAIL_WORKER_EVENTS, options.clone(), slowly);
    let other = fixture.consume_as(&fixture.tasks, EMAIL_WORKER_EVENTS, options, slowly);
    let events: Vec<_> = (0..100).map(|_| someone()).collect();

    for event in &events {
        fixture.publish(outbound(event));
    }

    eventually(SOON, async || one.ids().len() + other.ids().len() >= events.len()).await;
    let mut handled: Vec<Uuid> = one.ids().into_iter().chain(other.ids()).collect();
    let mut expected: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    handled.sort_unstable();
    expected.sort_unstable();
    assert_eq!(handled, expected, "each is handled once, by either");
    assert!(!one.ids().is_empty() && !other.ids().is_empty());
    fixture.end().await;
}
