//! The relay: what was committed is published, in order, and nothing else is.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::config::Service;
use common::messaging::{Changes, spawn_relay};
use common::process::Tasks;
use contracts::events::UserRegistered;
use contracts::topology::EMAIL_WORKER_EVENTS;
use sea_orm::{ConnectionTrait, Statement};
use test_support::{Fault, PrivatePostgres, eventually};
use tokio::time::Instant;
use uuid::Uuid;

use super::fixture::{Fixture, SOON, Store, commit, done, sign_up, someone};
use super::gate::postgres_proxy;

/// Runs each test on either database, each with either broker.
macro_rules! on_all {
    ($($test:ident),* $(,)?) => {
        mod postgres_and_rabbitmq {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Store::postgres().await, super::Fixture::rabbit().await).await;
            })*
        }
        mod sqlite_and_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Store::sqlite().await, super::Fixture::memory().await).await;
            })*
        }
    };
}

on_all!(
    what_was_committed_is_published_and_gone,
    what_was_rolled_back_is_never_published,
    an_aggregates_events_arrive_in_order,
    a_row_that_cannot_leave_holds_back_only_its_aggregate,
);

#[tokio::test]
async fn what_was_committed_on_sqlite_reaches_rabbitmq() {
    what_was_committed_is_published_and_gone(Store::sqlite().await, Fixture::rabbit().await).await;
}

#[tokio::test]
async fn what_was_committed_on_postgres_is_handled_in_memory() {
    what_was_committed_is_published_and_gone(Store::postgres().await, Fixture::memory().await).await;
}

async fn what_was_committed_is_published_and_gone(store: Store, fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = fixture.relay(&store);
    let events: Vec<_> = (0..500).map(|_| someone()).collect();

    for some in events.chunks(50) {
        commit(&changes, some).await;
    }

    seen.reaches(events.len()).await;
    store.outbox_is_empty().await;
    let mut ids = seen.ids();
    let mut expected: Vec<_> = events.iter().map(|event| event.id).collect();
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected, "each once");
    assert_eq!(seen.messages()[0].source, "user-api");
    fixture.end().await;
}

async fn what_was_rolled_back_is_never_published(store: Store, fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = fixture.relay(&store);
    let mut change = changes.begin().await.unwrap();
    change.tell(&someone()).unwrap();
    change.roll_back().await;

    let committed = someone();
    commit(&changes, std::slice::from_ref(&committed)).await;

    seen.reaches(1).await;
    store.outbox_is_empty().await;
    assert_eq!(seen.ids(), [committed.id]);
    fixture.end().await;
}

async fn an_aggregates_events_arrive_in_order(store: Store, fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let mut options = fixture.options();
    // One at a time: what is seen is then the order in which the queue has it.
    options.prefetch = 1;
    let seen = fixture.consume_as(&fixture.tasks, EMAIL_WORKER_EVENTS, options, |_| done());
    let changes = fixture.relay(&store);
    let people: Vec<_> = (0..10).map(|_| Uuid::now_v7()).collect();

    for version in 0..30 {
        let events: Vec<_> = people.iter().map(|person| sign_up(*person, version)).collect();
        commit(&changes, &events).await;
    }

    let mut versions: HashMap<Uuid, Vec<i64>> = HashMap::new();
    for message in seen.reaches(300).await {
        let data: UserRegistered = message.decode().unwrap();
        versions
            .entry(data.person.user_id)
            .or_default()
            .push(data.person.version);
    }
    for person in people {
        assert_eq!(versions[&person], (0..30).collect::<Vec<_>>());
    }
    fixture.end().await;
}

async fn a_row_that_cannot_leave_holds_back_only_its_aggregate(store: Store, fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = store.changes();
    let (stuck, free) = (Uuid::now_v7(), Uuid::now_v7());
    commit(&changes, &[sign_up(stuck, 1), sign_up(stuck, 2), sign_up(free, 1)]).await;
    let spoil = "UPDATE outbox SET headers = '7' WHERE id = (SELECT min(id) FROM outbox)";
    store.database.unguarded().execute_unprepared(spoil).await.unwrap();

    let relayed = fixture.relay(&store);
    commit(&relayed, &[sign_up(free, 2)]).await;

    let messages = seen.reaches(2).await;
    assert!(messages.iter().all(|message| message.subject == Some(free)));
    eventually(SOON, async || store.outbox_rows().await == 2).await;
    assert_eq!(seen.ids().len(), 2, "nothing of the stuck aggregate overtakes");
    fixture.end().await;
}

#[tokio::test]
async fn of_two_relays_one_leads_and_the_other_takes_over() {
    let (store, fixture) = (Store::postgres().await, Fixture::rabbit().await);
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = store.changes();
    let (first, second) = (Tasks::new(Service::UserApi), Tasks::new(Service::UserApi));
    for tasks in [&first, &second] {
        let replica = Changes::new(Service::UserApi, store.replica().await);
        spawn_relay(&replica, fixture.broker.clone(), fixture.metrics.clone(), tasks);
        eventually(SOON, async || leaders(&store).await == 1).await;
    }
    commit(&changes, &[someone()]).await;
    seen.reaches(1).await;
    assert_eq!(leaders(&store).await, 1);

    first.shut_down(SOON).await.unwrap();
    commit(&changes, &[someone()]).await;

    seen.reaches(2).await;
    store.outbox_is_empty().await;
    assert_eq!(leaders(&store).await, 1);
    second.shut_down(SOON).await.unwrap();
    fixture.end().await;
}

#[tokio::test]
async fn a_leader_whose_lock_connection_is_killed_takes_the_lock_again() {
    let (store, fixture) = (Store::postgres().await, Fixture::rabbit().await);
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = fixture.relay(&store);
    eventually(SOON, async || leaders(&store).await == 1).await;

    let kill = format!("SELECT pg_terminate_backend(pid) FROM ({LOCKS}) locks");
    store.database.unguarded().execute_unprepared(&kill).await.unwrap();
    eventually(SOON, async || leaders(&store).await == 0).await;
    commit(&changes, &[someone()]).await;

    seen.reaches(1).await;
    eventually(SOON, async || leaders(&store).await == 1).await;
    fixture.end().await;
}

#[tokio::test]
async fn the_relay_goes_on_when_its_database_was_killed_and_is_back() {
    let mut postgres = PrivatePostgres::start().await;
    let (store, fixture) = (Store::private(&postgres).await, Fixture::memory().await);
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = fixture.relay(&store);
    commit(&changes, &[someone()]).await;
    seen.reaches(1).await;

    postgres.kill();
    postgres.start_and_wait().await;
    eventually(SOON, async || store.database.ping().await.is_ok()).await;
    commit(&changes, &[someone()]).await;

    seen.reaches(2).await;
    store.outbox_is_empty().await;
    eventually(SOON, async || leaders(&store).await == 1).await;
    fixture.end().await;
}

#[tokio::test]
async fn the_backlog_is_measured() {
    let (store, fixture) = (Store::sqlite().await, Fixture::memory().await);
    let changes = fixture.relay(&store);

    // Nobody consumes: in memory nothing is confirmed.
    commit(&changes, &[someone(), someone()]).await;

    let pending = "waypost_outbox_pending{service=\"email-worker\"} 2";
    eventually(SOON, async || fixture.metrics.render().contains(pending)).await;
    // Of the tasks alone: a server may take long to let go of the test's database.
    let ended = fixture.tasks.shut_down(Duration::from_secs(15)).await;
    assert!(ended.is_ok(), "the end waited for what nobody confirms: {ended:?}");
}

#[tokio::test]
async fn the_oldest_event_is_told_when_the_backlog_can_not_be_counted() {
    let (store, fixture) = (Store::sqlite().await, Fixture::memory().await);
    commit(&store.changes(), &[someone()]).await;
    // The count names every column, the age its own.
    let spoil = "ALTER TABLE outbox RENAME COLUMN body TO hidden; UPDATE outbox SET created_at = created_at - 60000000";
    store.database.unguarded().execute_unprepared(spoil).await.unwrap();

    fixture.relay(&store);

    eventually(SOON, async || {
        let rendered = fixture.metrics.render();
        let age = "waypost_outbox_oldest_age_seconds{service=\"email-worker\"} ";
        let age = rendered.lines().find_map(|line| line.strip_prefix(age))?;
        (age.parse::<f64>().ok()? >= 60.0).then_some(())
    })
    .await;
    fixture.end().await;
}

/// Sessions that hold an advisory lock in this database.
const LOCKS: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

pub(crate) async fn leaders(store: &Store) -> usize {
    let database = store.database.read();
    let query = Statement::from_string(database.get_database_backend(), LOCKS);
    database.query_all_raw(query).await.unwrap().len()
}

#[tokio::test]
async fn one_answer_that_is_lost_to_the_relay_stops_it_for_less_than_five_seconds() {
    let leading = ["pg_try_advisory_lock", "SELECT id, aggregate", "DELETE FROM outbox"];
    let looking = [
        "pg_locks",
        "SELECT min(id)",
        "SELECT COUNT(*)",
        "SELECT created_at",
        "LISTEN",
    ];
    for statement in leading.into_iter().chain(looking) {
        let (store, fixture) = (Store::postgres().await, Fixture::memory().await);
        fixture.consume_others(EMAIL_WORKER_EVENTS);
        let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
        let proxy = postgres_proxy().await;
        let far = Store::through(&store, &proxy).await;
        proxy.lose_answer_to(statement);
        fixture.relay(&far);

        let (first, second) = (someone(), someone());
        let asked = Instant::now();
        commit(&store.changes(), std::slice::from_ref(&first)).await;
        eventually(SOON, async || proxy.has_lost_it()).await;
        commit(&store.changes(), std::slice::from_ref(&second)).await;

        seen.reaches(2).await;
        store.outbox_is_empty().await;
        println!(
            "the answer to {statement} lost: all through after {:?}",
            asked.elapsed()
        );
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "{statement}: {:?}",
            asked.elapsed()
        );
        let different: HashSet<_> = seen.ids().into_iter().collect();
        assert_eq!((seen.ids().len(), different.len()), (2, 2), "lost or doubled");
        fixture.end().await;
    }
}

#[tokio::test]
async fn a_relay_whose_statement_hangs_ends_in_time() {
    let (store, fixture) = (Store::postgres().await, Fixture::memory().await);
    let proxy = postgres_proxy().await;
    let far = Store::through(&store, &proxy).await;
    fixture.relay(&far);
    eventually(SOON, async || leaders(&store).await == 1).await;

    proxy.set(Fault::BlackHole).await;
    commit(&store.changes(), &[someone()]).await;
    // Its poll comes once a second, and a statement hangs for longer than that.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let stopped = Instant::now();
    let ended = fixture.tasks.shut_down(Duration::from_secs(5)).await;

    assert!(ended.is_ok(), "{ended:?} after {:?}", stopped.elapsed());
}
