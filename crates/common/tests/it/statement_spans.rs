//! Each statement has its span within a trace that is recorded, on either database, and none outside of one.

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
fn expected(store: &Store) -> Vec<&'static str> {
    let asked = ["SELECT inbox", "SELECT outbox", "SELECT"];
    let made: &[&str] = if store.database.is_postgres() {
        &["INSERT inbox INSERT outbox"]
    } else {
        &["BEGIN", "INSERT inbox", "INSERT outbox", "COMMIT"]
    };
    let changed = ["BEGIN", "DELETE inbox", "SELECT", "INSERT outbox", "COMMIT"];
    [&asked[..], made, &changed, &["BEGIN", "INSERT inbox", "ROLLBACK"]].concat()
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|found| found.key.as_str() == name);
    found.map(|found| found.value.to_string())
}

#[tokio::test]
async fn each_statement_of_a_recorded_trace_has_its_span_and_no_other_has() {
    for store in [Store::postgres().await, Store::sqlite().await] {
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
        assert_eq!(names, expected(&store));
        let system = if store.database.is_postgres() {
            "postgresql"
        } else {
            "sqlite"
        };
        for span in &all {
            assert_eq!(span.span_kind, SpanKind::Client);
            assert_eq!(span.parent_span_id, work.span_context.span_id(), "{}", span.name);
            assert_eq!(attribute(span, "db.system.name").as_deref(), Some(system));
            assert_eq!(attribute(span, "db.query.summary").as_deref(), Some(span.name.as_ref()));
        }
        assert_eq!(attribute(&all[0], "db.operation.name").as_deref(), Some("SELECT"));
        assert_eq!(attribute(&all[0], "db.collection.name").as_deref(), Some("inbox"));
        assert!(!format!("{all:?}").contains(VALUE), "{all:?}");
    }
}

#[tokio::test]
async fn the_span_of_a_statement_that_failed_says_the_database_s_code() {
    for store in [Store::postgres().await, Store::sqlite().await] {
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
        let code = attribute(failed, "db.response.status_code").unwrap();
        // A broken unique key of PostgreSQL; of SQLite, with its extended codes.
        assert!(["23505", "1555", "2067"].contains(&code.as_str()), "{code}");
        assert_eq!(attribute(failed, "error.type").as_deref(), Some(code.as_str()));
    }
}

#[tokio::test]
async fn the_span_of_a_statement_that_was_cancelled_says_so() {
    let store = Store::postgres().await;
    let read = store.database.read();
    let (spans, _guard) = Collected::start();
    let work = tracing::info_span!("work");
    let cancelled = async {
        // Asked, and dropped before an answer could come over the network.
        tokio::select! {
            biased;
            done = read.execute_unprepared("SELECT message_id FROM outbox") => panic!("done at once: {done:?}"),
            () = std::future::ready(()) => {}
        }
    };
    cancelled.instrument(work).await;
    let all = spans.all();
    let [cancelled, _work] = all.as_slice() else {
        panic!("one statement was asked: {all:?}")
    };
    assert_eq!(cancelled.name, "SELECT outbox");
    assert!(
        matches!(cancelled.status, Status::Error { .. }),
        "{:?}",
        cancelled.status
    );
    assert_eq!(attribute(cancelled, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(attribute(cancelled, "db.response.status_code"), None);
}
