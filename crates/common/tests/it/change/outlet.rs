//! Where the outlet to Kafka is on, what a change tells is written once more, for that outlet's relay alone.

use common::messaging::{Changes, spawn_relay};
use contracts::topology::EMAIL_WORKER_EVENTS;
use sea_orm::sea_query::{Alias, Query};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use test_support::eventually;
use uuid::Uuid;

use crate::messaging::fixture::{Fixture, SOON, Store, commit, done, sign_up, someone};

/// Ids of the messages in a table, in its order.
async fn ids(store: &Store, table: &str) -> Vec<Uuid> {
    let database = store.database.read();
    let sql = format!("SELECT message_id FROM {table} ORDER BY id");
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "message_id").unwrap()).collect()
}

async fn in_both(store: &Store) -> (Vec<Uuid>, Vec<Uuid>) {
    (ids(store, "outbox").await, ids(store, "outbox_kafka").await)
}

fn with_outlet(store: &Store) -> Changes {
    store.changes().and_for_kafka()
}

#[tokio::test]
async fn each_event_of_a_change_stands_in_both_tables_or_in_none() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let changes = with_outlet(&store);
        let person = Uuid::now_v7();
        let events = [sign_up(person, 1), sign_up(person, 2), someone()];
        commit(&changes, &events).await;
        let mut change = changes.begin().await.unwrap();
        change.tell(&someone()).unwrap();
        change.roll_back().await;
        changes.begin().await.unwrap().commit().await.unwrap();

        let told: Vec<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(in_both(&store).await, (told.clone(), told));
    }
}

#[tokio::test]
async fn a_creation_writes_its_event_twice_in_one_go() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let columns = ["consumer", "message_id", "received_at"].map(Alias::new);
        let mut row = Query::insert();
        row.into_table(Alias::new("inbox")).columns(columns);
        row.values_panic(["test".into(), Uuid::now_v7().into(), 0_i64.into()]);
        let event = someone();
        for is_new in [true, false] {
            let mut creation = with_outlet(&store).creation(row.clone());
            let told = if is_new { event.clone() } else { someone() };
            creation.tell(&told).unwrap();
            let committed = creation.commit_or_find(async || Ok::<_, DbErr>(false)).await;
            assert_eq!(committed.is_ok(), is_new);
        }
        assert_eq!(in_both(&store).await, (vec![event.id], vec![event.id]));
    }
}

#[tokio::test]
async fn without_the_outlet_nothing_is_written_for_it() {
    let store = Store::postgres().await;
    commit(&store.changes(), &[someone()]).await;
    let (outbox, for_kafka) = in_both(&store).await;
    assert_eq!((outbox.len(), for_kafka.len()), (1, 0));
}

#[tokio::test]
async fn what_waits_for_kafka_holds_up_nothing_and_no_other_relay_takes_it() {
    for (store, fixture) in [
        (Store::postgres().await, Fixture::memory().await),
        (Store::sqlite().await, Fixture::memory().await),
    ] {
        fixture.consume_others(EMAIL_WORKER_EVENTS);
        let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
        let changes = with_outlet(&store);
        let person = Uuid::now_v7();
        let events: Vec<_> = (0..300).map(|version| sign_up(person, version)).collect();
        commit(&changes, &events).await;
        spawn_relay(
            &changes,
            fixture.broker.clone(),
            fixture.metrics.clone(),
            &fixture.tasks,
        );
        seen.reaches(events.len()).await;
        eventually(SOON, async || ids(&store, "outbox").await.is_empty()).await;
        assert_eq!(ids(&store, "outbox_kafka").await.len(), events.len());
        fixture.end().await;
    }
}
