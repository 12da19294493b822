//! One row and its event are made together or not at all, and a row that is there is known to be.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::messaging::{Creation, Step};
use sea_orm::sea_query::{Alias, InsertStatement, Query};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use uuid::Uuid;

use crate::messaging::fixture::{Store, someone};

/// A row of a table that has a key of its own.
fn row(id: Uuid) -> InsertStatement {
    let columns = ["consumer", "message_id", "received_at"].map(Alias::new);
    let mut insert = Query::insert();
    insert.into_table(Alias::new("inbox")).columns(columns);
    insert.values_panic(["test".into(), id.into(), 0_i64.into()]);
    insert
}

fn creation(store: &Store, id: Uuid) -> Creation {
    let mut creation = store.changes().creation(row(id));
    creation.tell(&someone()).unwrap();
    creation
}

async fn made(store: &Store) -> i64 {
    let count = "SELECT count(*) AS n FROM inbox";
    let count = Statement::from_string(store.database.read().get_database_backend(), count);
    let counted = store.database.read().query_one_raw(count).await.unwrap();
    counted.unwrap().try_get("", "n").unwrap()
}

/// Nobody may ask for a row whose making was answered.
async fn never_asked() -> Result<bool, DbErr> {
    panic!("the database answered")
}

#[tokio::test]
async fn a_row_and_its_event_are_made_together_and_followed_in_order() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let steps = Arc::clone(&seen);
        let changes = store
            .changes()
            .observed(move |step: Step| steps.lock().unwrap().push(format!("{step:?}")));
        let mut creation = changes.creation(row(Uuid::now_v7()));
        creation.tell(&someone()).unwrap();
        let last = Arc::clone(&seen);
        creation.then(async move { last.lock().unwrap().push("followed".to_owned()) });

        creation.commit_or_find(never_asked).await.unwrap();

        assert_eq!(
            *seen.lock().unwrap(),
            ["EventsWritten", "Committed", "Woken", "followed"]
        );
        assert_eq!((made(&store).await, store.outbox_rows().await), (1, 1));
    }
}

#[tokio::test]
async fn a_row_that_breaks_a_key_is_not_made_and_nobody_is_told() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let id = Uuid::now_v7();
        creation(&store, id).commit_or_find(never_asked).await.unwrap();
        let asked = AtomicUsize::new(0);
        let mut second = creation(&store, id);
        second.then(async { panic!("nothing was made that could be followed") });
        let is_there = async || {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok(true)
        };

        let error = second.commit_or_find(is_there).await.unwrap_err();

        assert!(error.sql_err().is_some(), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "a broken key is an answer");
        assert_eq!((made(&store).await, store.outbox_rows().await), (1, 1));
    }
}

#[tokio::test]
async fn a_creation_that_is_dropped_leaves_nothing() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        drop(creation(&store, Uuid::now_v7()));
        assert_eq!((made(&store).await, store.outbox_rows().await), (0, 0));
    }
}
