//! What is on its way and what is held: types whose queue is full, confirmations that are gathered, parts that fail.

use std::future::{pending, ready};

use super::*;

const SIGN_UP: &str = "user.registered.v1";
const SENT: &str = "email.sent.v1";

fn work() -> Work {
    Work::new(200)
}

fn ended(kind: &str, error: PublishError) -> Published {
    Published {
        aggregate: Uuid::now_v7(),
        probe: None,
        confirmed: Vec::new(),
        failure: Some(Failure::Publish {
            id: 1,
            kind: kind.to_owned(),
            error,
        }),
    }
}

fn confirmed(kind: &str, probe: Option<&str>) -> Published {
    Published {
        aggregate: Uuid::now_v7(),
        probe: probe.map(str::to_owned),
        confirmed: vec![Confirmed {
            id: 1,
            kind: kind.to_owned(),
        }],
        failure: None,
    }
}

fn unreadable() -> Published {
    Published {
        failure: Some(Failure::Unreadable),
        ..ended(SIGN_UP, PublishError::Refused)
    }
}

#[test]
fn a_full_queue_holds_its_type_and_no_other_however_many_were_refused() {
    let (mut work, now) = (work(), Instant::now());
    for _ in 0..5_000 {
        assert!(
            work.take(ended(SIGN_UP, PublishError::Refused), now),
            "others are looked for"
        );
    }
    assert!(work.has_room(now));
    let not_now = work.not_now(now);
    assert_eq!((not_now.kinds, not_now.aggregates.len()), (vec![SIGN_UP.to_owned()], 0));
}

#[test]
fn a_type_is_probed_when_its_time_is_over_and_stays_held_until_a_probe_got_through() {
    let (mut work, begin) = (work(), Instant::now());
    work.take(ended(SIGN_UP, PublishError::Refused), begin);
    work.take(ended(SENT, PublishError::Unroutable), begin);
    work.release(SENT);
    assert!(work.due_for_a_probe(begin).is_empty());

    let due = work.next_probe(begin).unwrap();
    assert_eq!(due, begin + REFUSED.first);
    assert_eq!(work.due_for_a_probe(due), [SIGN_UP]);
    assert!(work.due_for_a_probe(due).is_empty(), "one probe at a time");
    assert_eq!(work.not_now(due).kinds, [SIGN_UP]);

    work.take(confirmed(SIGN_UP, None), due);
    assert_eq!(
        work.not_now(due).kinds,
        [SIGN_UP],
        "it may have been sent before the queue was full"
    );
    work.take(confirmed(SENT, Some(SIGN_UP)), due);
    assert_eq!(
        work.not_now(due).kinds,
        [SIGN_UP],
        "the probe came to another row of its aggregate only"
    );
    work.take(confirmed(SIGN_UP, Some(SIGN_UP)), due);
    assert!(work.not_now(due).kinds.is_empty());
    assert_eq!(work.next_probe(due), None);
}

#[test]
fn a_probe_that_is_due_waits_until_what_was_confirmed_is_deleted() {
    let (mut work, begin) = (work(), Instant::now());
    work.take(ended(SIGN_UP, PublishError::Refused), begin);
    let due = work.next_probe(begin).unwrap();
    work.take(confirmed(SENT, None), due);
    assert_eq!(work.next_probe(due), None, "the relay would ask again and again");
    work.forget_confirmed(1);
    assert_eq!(work.next_probe(due), Some(due));
}

#[test]
fn a_queue_that_stays_full_is_asked_every_two_seconds_at_last() {
    let (mut work, begin) = (work(), Instant::now());
    work.take(ended(SIGN_UP, PublishError::Refused), begin);
    let mut now = begin;
    for _ in 0..10 {
        now = work.next_probe(now).unwrap();
        assert_eq!(work.due_for_a_probe(now), [SIGN_UP]);
        work.take(ended(SIGN_UP, PublishError::Refused), now);
    }
    assert_eq!(work.next_probe(now).unwrap() - now, REFUSED.limit);
}

#[test]
fn a_refusal_that_lasts_asks_for_another_connection_now_and_then() {
    let (mut work, begin) = (work(), Instant::now());
    assert!(!work.is_refused_for_long(begin));
    work.take(ended(SIGN_UP, PublishError::Refused), begin);
    let asked = |work: &mut Work, seconds| work.is_refused_for_long(begin + Duration::from_secs(seconds));
    let asks: Vec<_> = (0..40).filter(|second| asked(&mut work, *second)).collect();
    assert_eq!(asks, [15, 30]);
    work.release(SIGN_UP);
    assert!(!asked(&mut work, 60));
    work.take(ended(SIGN_UP, PublishError::Refused), begin);
    assert!(!asked(&mut work, 61), "another time begins anew");
}

/// Work with a window of eight aggregates on their way; the first so many are confirmed at once, the others never.
fn eight_on_their_way(confirmed_at_once: usize) -> Work {
    let work = Work::new(8);
    for _ in 0..confirmed_at_once {
        work.publishing.push(Box::pin(ready(confirmed(SENT, None))));
    }
    for _ in confirmed_at_once..8 {
        work.publishing.push(Box::pin(pending()));
    }
    work
}

#[tokio::test]
async fn confirmations_are_gathered_for_a_while_as_long_as_plenty_is_on_its_way() {
    let (mut work, begin) = (eight_on_their_way(1), Instant::now());
    assert_eq!(work.next_published().await, Some(true));
    assert_eq!(work.confirmed.len(), 1);
    assert!(begin.elapsed() >= GATHER);
    for at_once in [2, 8] {
        let mut work = eight_on_their_way(at_once);
        assert_eq!(work.next_published().now_or_never(), Some(Some(true)));
        assert_eq!(work.confirmed.len(), at_once);
    }
}

#[tokio::test]
async fn what_was_gathered_is_not_lost_with_the_wait_for_more() {
    let mut work = eight_on_their_way(1);
    assert_eq!(work.next_published().now_or_never(), None);
    assert_eq!((work.confirmed.len(), work.publishing.len()), (1, 7));
}

#[test]
fn the_brokers_trouble_holds_nothing() {
    let (mut work, now) = (work(), Instant::now());
    for error in [PublishError::Unavailable, PublishError::Unknown] {
        assert!(!work.take(ended(SIGN_UP, error), now));
    }
    assert!(work.not_now(now).kinds.is_empty());
}

#[test]
fn where_parts_fail_what_could_not_go_takes_no_slot_from_what_can_until_one_of_it_went() {
    let (mut work, now) = (work(), Instant::now());
    work.unreached = Some(Unreached::default());
    for _ in 0..2 * MAX_HELD {
        work.take(ended(SIGN_UP, PublishError::Unknown), now);
    }
    assert!(work.has_room(now), "they stop no read");
    assert_eq!(work.not_now(now).aggregates.len(), 2 * MAX_HELD);

    assert_eq!(work.due_for_another_try(now), None);
    let later = now + Duration::from_secs(1);
    let (tried, _) = work.due_for_another_try(later).unwrap();
    let of_tried = |published| Published {
        aggregate: tried,
        ..published
    };
    work.take(of_tried(ended(SIGN_UP, PublishError::Unavailable)), later);
    assert_eq!(work.not_now(later).aggregates.len(), 2 * MAX_HELD);
    work.take(confirmed(SIGN_UP, None), later);
    assert_eq!(work.not_now(later).aggregates.len(), 2 * MAX_HELD, "others go anyhow");

    let later = later + Duration::from_secs(1);
    let (tried, _) = work.due_for_another_try(later).unwrap();
    let of_tried = |published| Published {
        aggregate: tried,
        ..published
    };
    work.take(of_tried(confirmed(SIGN_UP, None)), later);
    assert!(work.not_now(later).aggregates.is_empty(), "all are read again");
}

#[test]
fn rows_that_cannot_be_read_count_only_while_they_are_held() {
    let (mut work, now) = (work(), Instant::now());
    for _ in 0..MAX_HELD {
        work.take(unreadable(), now);
    }
    assert!(!work.has_room(now));
    assert_eq!(work.not_now(now).aggregates.len(), MAX_HELD);

    let later = now + UNREADABLE.first;
    assert!(work.has_room(later));
    assert!(work.not_now(later).aggregates.is_empty());
}
