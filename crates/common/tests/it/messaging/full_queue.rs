//! A queue that is full holds back what is meant for it, and nothing else; and for no longer than it is full.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use common::messaging::{Changes, Message};
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS};
use test_support::{PrivateRabbit, eventually};
use tokio::time::Instant;
use uuid::Uuid;

use super::effects::LONG;
use super::fixture::{Fixture, SOON, Seen, Store, commit, done, email_sent, email_sent_to, sign_up};

/// More than the relay ever holds in mind, with what a full queue lets through before it says so.
const SIGN_UPS: usize = 1_600;
const OTHERS: usize = 20;

/// How a queue that is full comes to have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// Its consumer is started.
    Consumer,
    /// Its limit is taken away: nobody tells the relay.
    NoLimit,
}

#[tokio::test]
async fn a_full_queue_holds_back_its_own_events_only_and_lets_them_go_when_it_has_room() {
    let rabbit = PrivateRabbit::start().await;
    for (store, cure) in [
        (Store::postgres().await, Cure::Consumer),
        (Store::sqlite().await, Cure::Consumer),
        (Store::postgres().await, Cure::NoLimit),
    ] {
        let fixture = Fixture::private(&rabbit.url()).await;
        fixture.is_up().await;
        limit(&rabbit, &fixture, r"email-worker\.events").await;
        // The gateway reads both types; email-worker, which reads one of them, is down.
        let seen = fixture.consume(GATEWAY_EVENTS, |_| done());
        let changes = fixture.relay(&store);
        let people: Vec<_> = (0..SIGN_UPS).map(|_| Uuid::now_v7()).collect();
        for some in people.chunks(100) {
            let events: Vec<_> = some.iter().map(|person| sign_up(*person, 1)).collect();
            commit(&changes, &events).await;
        }
        // What follows an event that waits must not overtake it.
        let last = *people.last().unwrap();
        commit(&changes, &[email_sent_to(last)]).await;
        let meanwhile = others_flow(&changes, &seen).await;
        let waiting = store.outbox_rows().await;
        assert!(waiting > 1_000, "the queue is not full");
        let overtakes = |message: &Message| message.subject == Some(last) && message.kind.starts_with("email");
        assert!(
            !seen.messages().iter().any(overtakes),
            "an event overtook another of its aggregate"
        );

        let cured = Instant::now();
        match cure {
            Cure::Consumer => drop(fixture.consume(EMAIL_WORKER_EVENTS, |_| done())),
            Cure::NoLimit => drop(rabbit.control(&["clear_policy", "full"]).await),
        }
        // More than the probe alone.
        eventually(SOON, async || store.outbox_rows().await < waiting - 10).await;
        let flow = cured.elapsed();
        eventually(LONG, async || store.outbox_rows().await == 0).await;
        println!(
            "{SIGN_UPS} sign-ups refused: others through in {meanwhile:?}; {cure:?}: they flow after {flow:?}, all through after {:?}",
            cured.elapsed()
        );
        each_once(&seen, SIGN_UPS + 1 + OTHERS).await;
        fixture.end().await;
    }
}

#[tokio::test]
async fn of_two_full_queues_the_one_that_has_room_again_gets_its_events() {
    let rabbit = PrivateRabbit::start().await;
    let (store, fixture) = (Store::postgres().await, Fixture::private(&rabbit.url()).await);
    fixture.is_up().await;
    limit(&rabbit, &fixture, r"(email-worker|notification-gateway)\.events").await;
    let changes = fixture.relay(&store);
    let people: Vec<_> = (0..SIGN_UPS).map(|_| Uuid::now_v7()).collect();
    for some in people.chunks(100) {
        let events: Vec<_> = some.iter().map(|person| sign_up(*person, 1)).collect();
        commit(&changes, &events).await;
    }
    // Of all that is of the other type, what comes first stands behind sign-ups, of which most wait.
    for some in people.chunks(100) {
        let events: Vec<_> = some.iter().map(|person| email_sent_to(*person)).collect();
        commit(&changes, &events).await;
    }
    let others: Vec<_> = (0..OTHERS).map(|_| email_sent()).collect();
    commit(&changes, &others).await;
    // Both types wait when nothing has gone for a while.
    let (rows, since) = (Cell::new(0), Cell::new(Instant::now()));
    eventually(LONG, async || {
        let left = store.outbox_rows().await;
        if rows.replace(left) != left {
            since.set(Instant::now());
        }
        since.get().elapsed() > Duration::from_secs(2)
    })
    .await;
    assert!(rows.get() > 1_000, "the queues are not full");

    // email-worker stays down.
    let seen = fixture.consume(GATEWAY_EVENTS, |_| done());
    eventually(LONG, async || {
        let there: HashSet<_> = seen.ids().into_iter().collect();
        others.iter().all(|other| there.contains(&other.id))
    })
    .await;
    assert!(store.outbox_rows().await > 0, "email-worker's queue is not full");
    fixture.end().await;
}

/// Gives the queues of this namespace whose names are like that room for 100 messages.
async fn limit(rabbit: &PrivateRabbit, fixture: &Fixture, queues: &str) {
    let queues = format!(r"^{}\.{queues}$", fixture.namespace());
    let full = [
        "set_policy",
        "full",
        &queues,
        r#"{"max-length":100}"#,
        "--apply-to",
        "queues",
    ];
    rabbit.control(&full).await;
}

/// Tells of events of another type, and answers how long they took.
async fn others_flow(changes: &Changes, seen: &Seen) -> Duration {
    let others: Vec<_> = (0..OTHERS).map(|_| email_sent()).collect();
    let asked = Instant::now();
    commit(changes, &others).await;
    eventually(SOON, async || {
        let there: HashSet<_> = seen.ids().into_iter().collect();
        others.iter().all(|other| there.contains(&other.id))
    })
    .await;
    asked.elapsed()
}

async fn each_once(seen: &Seen, count: usize) {
    let messages = seen.reaches(count).await;
    let different: HashSet<_> = messages.iter().map(|message| message.id).collect();
    assert_eq!((messages.len(), different.len()), (count, count), "lost or doubled");
}
