//! Dead letters of the one process without servers: kept in the database, replayed while it runs and when it starts.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use serde_json::json;
use test_support::{Process, ProcessBuilder, eventually};
use uuid::Uuid;

use super::scene::{Ended, GATEWAY, MAILS, ended};
use crate::client::PATIENCE;
use crate::embedded::Embedded;
use crate::stack::run;

const TYPE: &str = "user.registered.v1";

async fn dlq(embedded: &Embedded, arguments: &str) -> Ended {
    let command = run("waypost", &embedded.environment())
        .arg("dlq")
        .folder(embedded.folder.path());
    ended(arguments.split_whitespace().fold(command, ProcessBuilder::arg)).await
}

async fn database(embedded: &Embedded, service: &str) -> DatabaseConnection {
    let file = embedded.folder.join(&format!(".waypost/waypost-{service}.db"));
    sea_orm::Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap()
}

async fn execute(embedded: &Embedded, service: &str, sql: &str, values: Vec<Value>) {
    let connection = database(embedded, service).await;
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    connection.execute_raw(statement).await.unwrap();
    connection.close().await.unwrap();
}

fn headers(id: Uuid) -> serde_json::Map<String, serde_json::Value> {
    let headers = json!({
        "cloudEvents_specversion": "1.0", "cloudEvents_id": id, "cloudEvents_source": "user-api",
        "cloudEvents_type": TYPE, "cloudEvents_time": "2026-01-01T00:00:00Z", "cloudEvents_subject": Uuid::now_v7(),
    });
    headers.as_object().unwrap().clone()
}

/// Has user-api's relay publish a message that nobody can read.
async fn tell_poison(embedded: &Embedded) -> Uuid {
    let id = Uuid::now_v7();
    let sql = "INSERT INTO outbox (aggregate, message_id, type, headers, body, created_at) VALUES (?, ?, ?, ?, ?, 1)";
    let headers = serde_json::Value::Object(headers(id)).to_string();
    let values = vec![
        Uuid::now_v7().into(),
        id.into(),
        TYPE.into(),
        headers.into(),
        b"{".to_vec().into(),
    ];
    execute(embedded, "user-api", sql, values).await;
    id
}

/// Sets a message aside that its consumer can read by now.
async fn bury(embedded: &Embedded, email: &str) -> Uuid {
    let id = Uuid::now_v7();
    let body = json!({
        "user_id": Uuid::now_v7(), "version": 1, "email": email, "name": "Ada", "locale": "en", "status": "active",
    });
    bury_with(embedded, id, &body).await;
    id
}

async fn bury_with(embedded: &Embedded, id: Uuid, body: &serde_json::Value) {
    let mut headers = headers(id);
    headers.insert("waypost-reason".to_owned(), "mended since".into());
    let envelope = json!({"content_type": "application/json", "headers": headers}).to_string();
    let sql = "INSERT INTO dead_letters (queue, headers, body, dead_at) VALUES (?, ?, ?, 1)";
    let values = vec![
        MAILS.into(),
        envelope.into_bytes().into(),
        body.to_string().into_bytes().into(),
    ];
    execute(embedded, "email-worker", sql, values).await;
}

async fn stop(mut process: Process) {
    process.terminate();
    let status = process.exit(PATIENCE).await;
    assert!(status.success(), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_the_one_process_outlive_it() {
    let embedded = Embedded::prepare();
    let mut process = embedded.start().await;
    let poison = tell_poison(&embedded).await;
    let both = |ended: Ended| {
        let queues: Vec<_> = ended.objects().iter().map(|letter| letter["queue"].clone()).collect();
        queues == [json!(MAILS), json!(GATEWAY)]
    };
    let list = format!("list --json --id {poison} --reason undecodable");
    eventually(PATIENCE, async || both(dlq(&embedded, &list).await)).await;
    // It was confirmed, so its letters are all that there is of it.
    process.kill();
    assert!(both(dlq(&embedded, &list).await.ends(0)));

    let process = embedded.start().await;
    assert!(both(dlq(&embedded, &list).await.ends(0)));
    let shown = dlq(&embedded, &format!("show {poison} --json --queue {MAILS}"))
        .await
        .ends(0)
        .objects();
    assert_eq!((&shown[0]["body"], &shown[0]["attempts"]), (&json!("{"), &json!(1)));
    dlq(&embedded, &format!("drop {poison} --reason poison --queue {GATEWAY}"))
        .await
        .ends(0);
    let left = dlq(&embedded, "list --json").await.ends(0).objects();
    assert_eq!(left.len(), 1, "{left:?}");
    stop(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_in_the_one_process_tells_what_was_done_what_was_known_and_what_is_dead_again() {
    let embedded = Embedded::prepare();
    let process = embedded.start().await;
    let done = bury(&embedded, "done@example.com").await;
    let poison = Uuid::now_v7();
    bury_with(&embedded, poison, &json!("poison")).await;

    let replayed = dlq(&embedded, "replay --json --wait 60s").await.ends(1);
    let told = replayed.objects();
    let effect = |id: Uuid| told.iter().find(|one| one["id"] == json!(id)).unwrap()["effect"].clone();
    assert_eq!((effect(done), effect(poison)), (json!("done"), json!("dead_again")));
    eventually(PATIENCE, async || embedded.mails().get("done@example.com") == Some(&1)).await;
    let left = dlq(&embedded, "list --json").await.ends(0).objects();
    let [letter] = &left[..] else { panic!("{left:#?}") };
    assert_eq!((&letter["id"], &letter["attempts"]), (&json!(poison), &json!(1)));
    assert!(
        letter["reason"].as_str().unwrap().starts_with("undecodable"),
        "{letter}"
    );

    bury_with(&embedded, done, &json!("whatever: it is known")).await;
    let replayed = dlq(&embedded, &format!("replay {done} --json --wait 60s"))
        .await
        .ends(0);
    assert_eq!(replayed.effects(), ["known"]);
    stop(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_nobody_is_there_for_is_taken_up_at_the_next_start() {
    let embedded = Embedded::prepare();
    stop(embedded.start().await).await;
    let id = bury(&embedded, "later@example.com").await;
    let replayed = dlq(&embedded, &format!("replay {id} --json --wait 1s")).await.ends(1);
    assert_eq!(replayed.effects(), ["not_yet"]);
    let again = dlq(&embedded, &format!("replay {id} --json --wait 1s")).await.ends(1);
    assert_eq!(again.effects(), ["taken"]);

    let process = embedded.start().await;
    eventually(PATIENCE, async || embedded.mails().get("later@example.com") == Some(&1)).await;
    eventually(PATIENCE, async || {
        dlq(&embedded, "list --json").await.objects().is_empty()
    })
    .await;
    stop(process).await;
}
