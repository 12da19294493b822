//! What a consumer and a publisher may rely on, whichever broker there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::config::Service;
use common::messaging::{OutboundMessage, Rejection};
use common::process::Tasks;
use contracts::envelope::header;
use contracts::events::UserRegistered;
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS, QUEUES};
use sea_orm::{ConnAcquireErr, DbErr};
use test_support::eventually;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::fixture::{Act, Fixture, SOON, done, email_sent, fail, outbound, someone, with_headers};

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

on_both_brokers!(
    an_event_reaches_every_bound_queue,
    an_event_that_nobody_binds_is_confirmed,
    a_failure_climbs_the_ladder_and_ends_among_the_dead_letters,
    a_failure_that_passes_is_overcome,
    a_moments_trouble_is_overcome_in_place,
    what_cannot_be_read_is_set_aside_with_its_reason,
    a_handlers_verdict_sets_a_message_aside_at_once,
    a_panic_costs_an_attempt_and_nobody_else,
    a_handler_that_takes_too_long_is_cut_off,
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

async fn a_failure_climbs_the_ladder_and_ends_among_the_dead_letters(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| fail("the relay said 451"));
    let event = outbound(&someone());
    let trace = event.headers()[header::TRACEPARENT][3..35].to_owned();

    fixture.publish(event.clone());

    let letter = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.remove(0);
    let attempts: Vec<_> = seen.messages().iter().map(|message| message.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(seen.ids(), [event.id(); 3]);
    assert_eq!(
        (letter.id, letter.kind.as_deref()),
        (Some(event.id().to_string()), Some("user.registered.v1"))
    );
    assert_eq!((letter.reason.as_str(), letter.attempts), ("3 attempts are used up", 3));
    assert_eq!(
        (letter.queue.as_str(), letter.trace_id),
        (EMAIL_WORKER_EVENTS.name, Some(trace.clone()))
    );
    assert!(letter.time.is_some());
    assert!(
        seen.traces().iter().all(|attempt| attempt.trace_id() == trace),
        "an attempt left the trace"
    );
    assert!(fixture.broker.dead_letters(GATEWAY_EVENTS, 1).await.unwrap().is_empty());
    fixture.end().await;
}

async fn a_failure_that_passes_is_overcome(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |message| {
        if message.attempt < 3 { fail("not yet") } else { done() }
    });

    fixture.publish(outbound(&someone()));

    seen.reaches(3).await;
    let rendered = "queue=\"email-worker.events\",outcome=\"ack\"} 1";
    eventually(SOON, async || fixture.metrics.render().contains(rendered)).await;
    assert!(
        fixture
            .broker
            .dead_letters(EMAIL_WORKER_EVENTS, 1)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.end().await;
}

async fn a_moments_trouble_is_overcome_in_place(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let left = Arc::new(AtomicUsize::new(3));
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |_| {
        let troubled = left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok();
        let lost = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        if troubled {
            Box::pin(async move { Err(lost().into()) })
        } else {
            done()
        }
    });

    fixture.broker.publish(outbound(&someone())).await.unwrap();

    let messages = seen.reaches(4).await;
    assert!(
        messages.iter().all(|message| message.attempt == 1),
        "it cost an attempt"
    );
    fixture.end().await;
}

async fn what_cannot_be_read_is_set_aside_with_its_reason(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |message| {
        let outcome = message.decode::<UserRegistered>().map(|_| ());
        Box::pin(async move { outcome })
    });
    let good = outbound(&someone());
    let unreadable = OutboundMessage::from_parts(
        good.id(),
        good.kind().to_owned(),
        good.headers().clone(),
        b"\xff{\"email\":\"ada@example.org\"".as_slice().into(),
    );
    let cases = [
        (
            with_headers(&good, &[(header::TYPE, "user.registered.v9")]),
            "unknown type user.registered.v9",
        ),
        (
            with_headers(&good, &[(header::ID, "")]),
            "the header cloudEvents_id is missing",
        ),
        (
            with_headers(&good, &[(header::SPEC_VERSION, "0.3")]),
            "cloudEvents_specversion is not 1.0",
        ),
        (
            with_headers(&good, &[(header::TRACEPARENT, "garbage"), (header::TIME, "late")]),
            "cloudEvents_time is no time",
        ),
        (unreadable, "undecodable: no valid JSON at line 1 column 1"),
    ];

    for (message, _) in &cases {
        fixture.publish(message.clone());
    }

    let letters = fixture.dead_letters(EMAIL_WORKER_EVENTS, cases.len()).await;
    let mut reasons: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    let mut expected: Vec<_> = cases.iter().map(|(_, reason)| *reason).collect();
    reasons.sort_unstable();
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    assert!(
        letters
            .iter()
            .all(|letter| letter.trace_id.is_some() && letter.attempts == 1)
    );
    assert_eq!(
        seen.messages().len(),
        1,
        "only the one whose envelope is right reaches the handler"
    );
    fixture.end().await;
}

async fn a_handlers_verdict_sets_a_message_aside_at_once(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| {
        Box::pin(async { Err(Rejection::dead_letter("no such template")) })
    });

    fixture.publish(outbound(&someone()));

    let letter = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.remove(0);
    assert_eq!((letter.reason.as_str(), letter.attempts), ("no such template", 1));
    assert_eq!(seen.messages().len(), 1);
    fixture.end().await;
}

async fn a_panic_costs_an_attempt_and_nobody_else(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let poison = someone();
    let poison_id = poison.id;
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |message| {
        assert_ne!(message.id, poison_id, "on purpose");
        done()
    });

    fixture.publish(outbound(&poison));
    let good: Vec<_> = (0..20).map(|_| someone()).collect();
    for event in &good {
        fixture.publish(outbound(event));
    }

    let letter = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.remove(0);
    assert_eq!((letter.id, letter.attempts), (Some(poison_id.to_string()), 3));
    let handled = seen.reaches(good.len() + 3).await;
    assert!(
        good.iter()
            .all(|event| handled.iter().any(|message| message.id == event.id))
    );
    fixture.end().await;
}

async fn a_handler_that_takes_too_long_is_cut_off(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let mut options = fixture.options();
    options.handler_timeout = Duration::from_millis(100);
    let seen = fixture.consume_as(&fixture.tasks, EMAIL_WORKER_EVENTS, options, |message| {
        if message.attempt == 1 {
            Box::pin(std::future::pending())
        } else {
            done()
        }
    });

    fixture.publish(outbound(&someone()));

    let attempts: Vec<_> = seen.reaches(2).await.iter().map(|message| message.attempt).collect();
    assert_eq!(attempts, [1, 2]);
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
    // The first ones come one by one (slow start); then several are in hand.
    gate.add_permits(3);
    for _ in 0..8 {
        fixture.publish(outbound(&someone()));
    }
    seen.reaches(8).await;
    eventually(SOON, async || finished.load(Ordering::SeqCst) == 3).await;

    let opening = async {
        worker.stopping().cancelled().await;
        assert_eq!(finished.load(Ordering::SeqCst), 3);
        gate.add_permits(5);
    };
    let (ended, ()) = tokio::join!(worker.shut_down(SOON), opening);
    ended.unwrap();

    assert_eq!(finished.load(Ordering::SeqCst), 8);
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

#[tokio::test]
async fn the_fifth_panic_on_rabbitmq_is_the_last() {
    the_fifth_panic_is_the_last(Fixture::rabbit_with(&[20, 21, 22, 23, 24, 25]).await).await;
}

#[tokio::test]
async fn the_fifth_panic_in_memory_is_the_last() {
    the_fifth_panic_is_the_last(Fixture::memory_with(&[20, 21, 22, 23, 24, 25]).await).await;
}

async fn the_fifth_panic_is_the_last(fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    fixture.consume(EMAIL_WORKER_EVENTS, |_| panic!("on purpose"));

    fixture.publish(outbound(&someone()));

    let letter = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.remove(0);
    assert_eq!(
        (letter.reason.as_str(), letter.attempts),
        ("the handler panicked 5 times", 5)
    );
    fixture.end().await;
}
