//! Each statement has its span within a trace that is recorded, and none outside of one.
//!
//! On PostgreSQL alone: `SQLite`'s own thread holds on to spans, and has no subscriber in a test that shares its process.

use common::telemetry::TraceContext;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use sea_orm::sea_query::{Alias, Query};
use sea_orm::{ConnectionTrait, Statement};
use tracing::Instrument;
use uuid::Uuid;

use crate::messaging::fixture::{Store, someone};
use crate::subscriber::Collected;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Stands in a statement as a value.
const VALUE: &str = "ada@example.com";

/// Asks in every way in which a service may ask.
async fn ask_in_every_way(store: &Store) {
    let read = store.database.read();
    let backend = read.get_database_backend();
    let select = |sql: &str| Statement::from_sql_and_values(backend, sql, [VALUE.into()]);
    let one = select("SELECT count(*) AS n FROM inbox WHERE consumer = $1");
    read.query_one_raw(one).await.unwrap();
    read.query_all_raw(select("SELECT message_id FROM outbox WHERE type = $1"))
        .await
        .unwrap();
    read.execute_unprepared(&format!("SELECT '{VALUE}'")).await.unwrap();

    let mut inbox = Query::insert();
    inbox
        .into_table(Alias::new("inbox"))
        .columns(["consumer", "message_id", "received_at"].map(Alias::new))
        .values_panic([VALUE.into(), Uuid::now_v7().into(), 0_i64.into()]);
    let mut creation = store.changes().creation(inbox.clone());
    creation.tell(&someone()).unwrap();
    creation.commit_or_find(async || Ok(false)).await.unwrap();

    let mut change = store.changes().begin().await.unwrap();
    let tx = change.tx();
    let delete = select("DELETE FROM inbox WHERE consumer = $1 AND received_at < 0");
    tx.execute_raw(delete).await.unwrap();
    tx.query_one_raw(select("SELECT $1")).await.unwrap();
    change.tell(&someone()).unwrap();
    change.commit().await.unwrap();

    let change = store.changes().begin().await.unwrap();
    // Its key is there already.
    change.tx().execute(&inbox).await.unwrap_err();
    change.roll_back().await;
}

/// What stands in the spans of the whole of it.
const EXPECTED: [&str; 12] = [
    "SELECT inbox",
    "SELECT outbox",
    "SELECT",
    "INSERT inbox INSERT outbox",
    "BEGIN",
    "DELETE inbox",
    "SELECT",
    "INSERT outbox",
    "COMMIT",
    "BEGIN",
    "INSERT inbox",
    "ROLLBACK",
];

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|found| found.key.as_str() == name);
    found.map(|found| found.value.to_string())
}

#[tokio::test]
async fn each_statement_of_a_recorded_trace_has_its_span_and_no_other_has() {
    let store = Store::postgres().await;
    let (spans, _guard) = Collected::start();
    ask_in_every_way(&store).await;
    let unrecorded = TraceContext::parse(Some(&format!("00-{TRACE}-b7ad6b7169203331-00")), None).unwrap();
    ask_in_every_way(&store).with_context(unrecorded.to_context()).await;
    assert!(spans.all().is_empty(), "{:?}", spans.all());

    let work = tracing::info_span!("work");
    ask_in_every_way(&store).instrument(work.clone()).await;
    drop(work);

    let mut all = spans.all();
    let work = all.pop().unwrap();
    let names: Vec<&str> = all.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, EXPECTED);
    for span in &all {
        assert_eq!(span.span_kind, SpanKind::Client);
        assert_eq!(span.parent_span_id, work.span_context.span_id(), "{}", span.name);
        assert_eq!(attribute(span, "db.system.name").as_deref(), Some("postgresql"));
        assert_eq!(attribute(span, "db.query.summary").as_deref(), Some(span.name.as_ref()));
    }
    assert_eq!(attribute(&all[0], "db.operation.name").as_deref(), Some("SELECT"));
    assert_eq!(attribute(&all[0], "db.collection.name").as_deref(), Some("inbox"));
    assert!(!format!("{all:?}").contains(VALUE), "{all:?}");
}

#[tokio::test]
async fn the_span_of_a_statement_that_failed_says_the_database_s_code() {
    let store = Store::postgres().await;
    let (spans, _guard) = Collected::start();
    let work = tracing::info_span!("work");
    ask_in_every_way(&store).instrument(work).await;
    let failed: Vec<_> = spans
        .all()
        .into_iter()
        .filter(|span| matches!(span.status, Status::Error { .. }))
        .collect();
    let [failed] = failed.as_slice() else {
        panic!("one has failed: {failed:?}")
    };
    assert_eq!(failed.name, "INSERT inbox");
    // A broken unique key.
    for name in ["db.response.status_code", "error.type"] {
        assert_eq!(attribute(failed, name).as_deref(), Some("23505"));
    }
}

#[tokio::test]
async fn the_span_of_a_statement_that_was_cancelled_says_so() {
    let store = Store::postgres().await;
    let read = store.database.read();
    let (spans, _guard) = Collected::start();
    let work = tracing::info_span!("work");
    let cancelled = async {
        // Asked, and dropped before an answer can have come.
        tokio::select! {
            biased;
            done = read.execute_unprepared("SELECT pg_sleep(60)") => panic!("done at once: {done:?}"),
            () = std::future::ready(()) => {}
        }
    };
    cancelled.instrument(work).await;
    let all = spans.all();
    let [cancelled, _work] = all.as_slice() else {
        panic!("one statement was asked: {all:?}")
    };
    assert_eq!(cancelled.name, "SELECT");
    assert!(
        matches!(cancelled.status, Status::Error { .. }),
        "{:?}",
        cancelled.status
    );
    assert_eq!(attribute(cancelled, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(attribute(cancelled, "db.response.status_code"), None);
}
