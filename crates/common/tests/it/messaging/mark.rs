//! The relay's mark, and what wakes it: nothing that is committed late is passed over, and no replica waits for a poll.

use std::collections::HashSet;
use std::time::Duration;

use common::config::Service;
use common::messaging::{Changes, OutboundMessage, spawn_relay};
use common::process::Tasks;
use contracts::topology::EMAIL_WORKER_EVENTS;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseTransaction, Statement, TransactionTrait};
use test_support::{PrivatePostgres, eventually};
use tokio::time::Instant;

use super::effects::{LONG, write};
use super::fixture::{Fixture, SOON, Store, commit, done, outbound, someone};
use super::relay::leaders;

/// Longer than it takes to move the mark.
const SLOW: f64 = 3.0;

#[tokio::test]
async fn what_is_committed_long_after_its_id_was_handed_out_is_published_and_the_mark_waits_for_it() {
    let postgres = PrivatePostgres::start().await;
    let (store, fixture) = (Store::private(&postgres).await, Fixture::memory().await);
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let changes = fixture.relay(&store);
    let mut sent = write(&changes, 50).await;
    eventually(LONG, async || gauge(&fixture, MARK) >= 50.0).await;

    let late = outbound(&someone());
    let (open, id) = insert(&postgres.url(), &late).await;
    sent.extend(write(&changes, 100).await);
    seen.reaches(150).await;
    eventually(LONG, async || gauge(&fixture, OLDEST) >= SLOW).await;
    let mark = gauge(&fixture, MARK);
    assert!(mark < id, "the mark is at {mark} and {id} is still to come");
    open.commit().await.unwrap();
    sent.push(late.id());

    seen.reaches(151).await;
    store.outbox_is_empty().await;
    let received = seen.ids();
    let distinct: HashSet<_> = received.iter().copied().collect();
    let lost = sent.iter().filter(|id| !distinct.contains(id)).count();
    let doubled = received.len() - distinct.len();
    println!(
        "sent {}, received {}, lost {lost}, doubled {doubled}",
        sent.len(),
        distinct.len()
    );
    assert_eq!((lost, doubled), (0, 0));
    eventually(LONG, async || {
        gauge(&fixture, MARK) >= id + 100.0 && gauge(&fixture, OLDEST) < 1.0
    })
    .await;
    fixture.end().await;
}

#[tokio::test]
async fn what_a_replica_commits_that_does_not_lead_is_published_at_once() {
    let (store, fixture) = (Store::postgres().await, Fixture::memory().await);
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    fixture.relay(&store);
    eventually(SOON, async || {
        leaders(&store).await == 1 && listeners(&store).await == 1
    })
    .await;
    let other = Changes::new(Service::UserApi, store.replica().await);
    let tasks = Tasks::new(Service::UserApi);
    spawn_relay(&other, fixture.broker.clone(), fixture.metrics.clone(), &tasks);

    let began = Instant::now();
    for count in 1..=20 {
        commit(&other, &[someone()]).await;
        seen.reaches(count).await;
    }

    println!(
        "twenty commits, one after the other, published within {:?}",
        began.elapsed()
    );
    // Each comes just behind a poll, so that the next one would be a second later.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    tasks.shut_down(SOON).await.unwrap();
    fixture.end().await;
}

/// Writes an event as somebody does who is slow: the transaction stays open, and its id is handed out.
async fn insert(url: &str, message: &OutboundMessage) -> (DatabaseTransaction, f64) {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let database = sea_orm::Database::connect(options).await.unwrap();
    let open = database.begin().await.unwrap();
    let sql = "INSERT INTO email_worker.outbox (aggregate, message_id, type, headers, body, created_at) \
               VALUES ($1, $1, $2, $3::jsonb, $4, 0) RETURNING id";
    let values = [
        message.id().into(),
        message.kind().into(),
        serde_json::to_string(message.headers()).unwrap().into(),
        message.body().to_vec().into(),
    ];
    let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, values);
    let row = open.query_one_raw(statement).await.unwrap().unwrap();
    let id: i64 = row.try_get("", "id").unwrap();
    (open, f64::from(i32::try_from(id).unwrap()))
}

const MARK: &str = "waypost_outbox_mark{service=\"email-worker\"} ";
const OLDEST: &str = "waypost_outbox_oldest_writer_age_seconds{service=\"email-worker\"} ";

fn gauge(fixture: &Fixture, series: &str) -> f64 {
    let rendered = fixture.metrics.render();
    let value = rendered.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Sessions of this database that listen.
async fn listeners(store: &Store) -> usize {
    let database = store.database.read();
    let sql = "SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    let query = Statement::from_string(database.get_database_backend(), sql);
    database.query_all_raw(query).await.unwrap().len()
}
