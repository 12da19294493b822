//! What becomes of a delivery after each outcome: the schedule, its bounds, and the end.

use uuid::Uuid;

use super::*;
use crate::config::{Service, Settings};

const HOUR: Duration = Duration::from_hours(1);
const START: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

fn options() -> DispatchOptions {
    DispatchOptions::new(&Settings::for_tests(Service::EmailWorker), &[])
}

fn delivery(attempts: i32, expires_at: Option<Timestamp>) -> Delivery {
    Delivery {
        id: Uuid::nil(),
        source_event_id: Uuid::nil(),
        channel: "test".into(),
        recipient: "r".into(),
        destination: "d".into(),
        status: Status::Sending,
        reason: None,
        attempts,
        next_attempt_at: START,
        lease_until: None,
        lease_number: 1,
        lease_holder: None,
        expires_at,
        priority: 0,
        traceparent: None,
        tracestate: None,
        payload: serde_json::Value::Null,
        last_error: None,
        provider: None,
        provider_message_id: None,
        retry_now: false,
        resend_of: None,
        origin_event_id: None,
        created_at: START,
        updated_at: START,
    }
}

fn retry() -> Outcome {
    Outcome::Retry {
        error: "no".into(),
        after: None,
    }
}

#[test]
fn a_delivery_that_keeps_failing_is_tried_on_schedule_for_three_days() {
    let mut options = options();
    options.retry_delays = [10, 60, 600, 3600].map(Duration::from_secs).to_vec();
    let (mut now, mut attempts, mut waits) = (START, 1, vec![]);
    let last = loop {
        let (outcome, change) = resolve(retry(), &delivery(attempts, None), &options, now);
        if change.to != Status::Pending {
            break outcome;
        }
        waits.push(change.next_attempt_at.since(now).as_secs());
        (now, attempts) = (change.next_attempt_at, attempts + 1);
    };
    assert_eq!(waits[..6], [10, 60, 600, 3600, 3600, 3600]);
    assert!(matches!(
        last,
        Outcome::Failed {
            reason: Reason::Exhausted,
            ..
        }
    ));
    assert!(now.since(START) > 71 * HOUR && now.since(START) <= 72 * HOUR);
}

#[test]
fn the_other_sides_wait_beats_the_schedule() {
    let outcome = Outcome::Retry {
        error: "429".into(),
        after: Some(Wait::Destination(Duration::from_secs(7))),
    };
    let (_, change) = resolve(outcome, &delivery(3, None), &options(), START);
    assert_eq!(change.next_attempt_at, START + Duration::from_secs(7));
}

#[test]
fn a_wait_without_bounds_gets_some() {
    let asks = |after| Outcome::Retry {
        error: "429".into(),
        after: Some(Wait::Destination(after)),
    };
    for (wait, expected) in [(Duration::ZERO, SHORTEST_WAIT), (Duration::MAX, LONGEST_WAIT)] {
        let (_, change) = resolve(asks(wait), &delivery(1, None), &options(), START);
        assert_eq!((change.to, change.next_attempt_at), (Status::Pending, START + expected));
    }
    let unavailable = Outcome::Unavailable {
        after: Wait::Destination(Duration::MAX),
    };
    assert_eq!(asks(Duration::MAX).destination_pause(), Some(LONGEST_DESTINATION_PAUSE));
    assert_eq!(unavailable.destination_pause(), Some(LONGEST_DESTINATION_PAUSE));
    assert_eq!(asks(Duration::ZERO).destination_pause(), Some(SHORTEST_WAIT));
    assert_eq!(retry().destination_pause(), None);
    let of_one = Outcome::Retry {
        error: "429".into(),
        after: Some(Wait::Delivery(Duration::from_mins(10))),
    };
    assert_eq!(of_one.destination_pause(), None);
    let (_, change) = resolve(of_one, &delivery(1, None), &options(), START);
    assert_eq!(change.next_attempt_at, START + Duration::from_mins(10));
}

#[test]
fn what_was_not_tried_costs_no_attempt() {
    let outcome = Outcome::Unavailable {
        after: Wait::Destination(Duration::from_secs(5)),
    };
    let (_, change) = resolve(outcome, &delivery(3, None), &options(), START);
    assert_eq!((change.to, change.attempts), (Status::Pending, 2));
}

#[test]
fn what_would_come_too_late_has_expired() {
    let expires = Some(START + Duration::from_millis(1));
    assert_eq!(
        resolve(retry(), &delivery(1, expires), &options(), START).1.to,
        Status::Expired
    );
    assert_eq!(before_sending(&delivery(1, expires), &options(), START), None);
    assert_eq!(
        before_sending(&delivery(1, expires), &options(), START + HOUR),
        Some(Outcome::Expired)
    );
}

#[test]
fn a_delivery_whose_senders_all_died_is_given_up_in_the_end() {
    let late = START + 73 * HOUR;
    assert!(before_sending(&delivery(9, None), &options(), late).is_some());
    assert_eq!(
        before_sending(&delivery(1, None), &options(), late),
        None,
        "a first try is due to everybody"
    );
}

#[test]
fn an_error_text_is_bounded() {
    let outcome = Outcome::Failed {
        reason: Reason::Rejected,
        error: "é".repeat(400),
    };
    assert_eq!(
        resolve(outcome, &delivery(1, None), &options(), START)
            .1
            .last_error
            .unwrap()
            .len(),
        ERROR_LIMIT
    );
}

#[test]
fn what_was_never_tried_is_not_given_up() {
    let late = START + 100 * HOUR;
    let away = || Outcome::Unavailable {
        after: Wait::Destination(Duration::from_secs(30)),
    };
    let (outcome, row) = resolve(away(), &delivery(1, None), &options(), late);
    assert_eq!((outcome, row.to, row.attempts), (away(), Status::Pending, 0));
    // A claim that was lost, or a rest, was no try; a refusal was.
    let known_by = |error: &str| Delivery {
        last_error: Some(error.into()),
        ..delivery(CUT_SHORT + 1, None)
    };
    for no_try in [delivery(2, None), known_by(LEFT_BEHIND), known_by(RESTS)] {
        let (_, row) = resolve(away(), &no_try, &options(), late);
        assert_eq!(row.to, Status::Pending);
    }
    let (_, row) = resolve(away(), &known_by("421 later"), &options(), late);
    assert_eq!((row.to, row.reason), (Status::Failed, Some(Reason::Exhausted)));
    // Its own end stands all the same.
    let (outcome, _) = resolve(away(), &delivery(1, Some(late)), &options(), late);
    assert_eq!(outcome, Outcome::Expired);
}

#[test]
fn what_was_held_for_longer_than_a_delivery_is_tried_has_some_tries_by_the_schedule_all_the_same() {
    let (mut now, options) = (START + 100 * HOUR, options());
    let mut tries = 0;
    let row = loop {
        tries += 1;
        let held = delivery(tries, None);
        assert_eq!(before_sending(&held, &options, now).is_some(), tries > CUT_SHORT);
        let (_, row) = resolve(retry(), &held, &options, now);
        if row.to != Status::Pending {
            break row;
        }
        assert!(row.next_attempt_at > now);
        now = row.next_attempt_at;
    };
    assert_eq!((row.reason, tries), (Some(Reason::Exhausted), CUT_SHORT + 1));
}

#[test]
fn an_unknown_end_is_tried_again_on_schedule_and_counts() {
    let mut options = options();
    options.retry_delays = vec![Duration::from_secs(10), Duration::from_mins(1)];
    let error = "no answer".to_owned();
    let (outcome, row) = resolve(Outcome::Unknown { error }, &delivery(1, None), &options, START);
    assert!(matches!(outcome, Outcome::Unknown { .. }));
    assert_eq!((row.to, row.attempts), (Status::Pending, 1));
    assert_eq!(
        row.next_attempt_at,
        START + Duration::from_mins(1),
        "a step later than a refusal"
    );
    assert_eq!(row.last_error.as_deref(), Some("no answer"));
}
