//! What becomes of a message that can't be taken in, whichever broker there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::messaging::{OutboundMessage, Rejection};
use contracts::envelope::header;
use contracts::events::UserRegistered;
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS};
use sea_orm::{ConnAcquireErr, DbErr};
use test_support::eventually;

use super::contract::on_both_brokers;
use super::fixture::{Fixture, SOON, done, fail, outbound, someone, with_headers};

on_both_brokers!(
    a_failure_climbs_the_ladder_and_ends_among_the_dead_letters,
    a_failure_that_passes_is_overcome,
    a_moments_trouble_is_overcome_in_place,
    what_cannot_be_read_is_set_aside_with_its_reason,
    a_handlers_verdict_sets_a_message_aside_at_once,
    a_panic_costs_an_attempt_and_nobody_else,
    a_handler_that_takes_too_long_is_cut_off,
);

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
