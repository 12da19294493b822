//! One answer of the database is lost on the way, the connection left open, as by a host that is gone.

use std::time::{Duration, Instant};

use common::messaging::Broker;
use serde_json::{Value, json};
use test_support::{FaultProxy, TestDatabase, eventually};

use crate::test_app::{Answer, SOON, TestApp, ada, by_proxy, migrate, settings, tag};

/// The deadline of 2.5 s, half a second for looking up, and what a busy machine adds.
const ANSWERED: Duration = Duration::from_secs(6);

struct Stand {
    app: TestApp,
    way: FaultProxy,
    database: TestDatabase,
}

impl Stand {
    /// A service that has asked its database as little as possible, and that publishes nothing.
    async fn new() -> Self {
        let database = TestDatabase::postgres().await;
        let (way, url) = by_proxy(database.url()).await;
        let mut settings = settings(&url, "lost-answers");
        settings.store.url = "memory://".to_owned().into();
        // Nothing listens there: events stay in the outbox, where they can be counted.
        settings.broker.url = "amqp://guest:guest@127.0.0.1:9/%2f".to_owned().into();
        migrate(&settings).await;
        let broker: Option<Broker> = None;
        let app = TestApp::start_with(settings, broker).await;
        eventually(SOON, async || app.readiness().await.status == 200).await;
        Self { app, way, database }
    }

    /// Loses the answer to the statement with this text while `request` needs it; other requests go on.
    async fn losing(&self, text: &str, request: impl Future<Output = Answer>) -> Answer {
        self.way.lose_answer_to(text);
        let others = async {
            eventually(SOON, async || self.way.has_lost_it()).await;
            let began = Instant::now();
            for n in 0..4 {
                let other = self.app.sign_up(&person(&format!("other{n}"))).await;
                assert_eq!(other.status, 201, "{text}: {}", other.text);
            }
            began.elapsed()
        };
        let (answer, others) = futures_util::future::join(request, others).await;
        println!(
            "{text}: {} after {:?}; four other sign-ups took {others:?}",
            answer.status, answer.took
        );
        assert!(answer.took < ANSWERED, "{text}: {:?}", answer.took);
        answer
    }
}

fn person(name: &str) -> Value {
    let mut person = ada();
    person["email"] = json!(format!("{name}@example.com"));
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_whose_commit_is_not_answered_is_a_sign_up() {
    let stand = Stand::new().await;
    // Of the one statement: the address goes over with its values, when it is carried out.
    let answer = stand.losing("ada@example.com", stand.app.sign_up(&ada())).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let accounts = "SELECT count(*) AS n FROM users WHERE email_key = 'ada@example.com'";
    assert_eq!(stand.app.query::<i64>(accounts, "n").await, 1);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let events = format!("SELECT count(*) AS n FROM outbox WHERE aggregate = '{id}'");
    assert_eq!(stand.app.query::<i64>(&events, "n").await, 1);
    assert_eq!(stand.app.sign_up(&ada()).await.status, 409);
    let logged_in = stand.app.log_in("ada@example.com", "correct horse battery").await;
    assert_eq!(logged_in.status, 201);
    let token = logged_in.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(stand.app.read_user(&id, &token).await.json(), answer.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_on_a_connection_that_was_just_closed_is_made_on_another() {
    let stand = Stand::new().await;
    assert_eq!(stand.app.sign_up(&ada()).await.status, 201);
    let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..10 {
        stand.database.execute(close).await;
        let answer = stand.app.sign_up(&person(&format!("after{n}"))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    assert_eq!(stand.app.count("users").await, 11);
    assert_eq!(stand.app.count("outbox").await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_that_loses_an_answer_before_its_commit_is_none_and_is_told_so() {
    let stand = Stand::new().await;
    // Of the one statement: its text goes over when it is prepared.
    let answer = stand.losing(r#"INSERT INTO "users""#, stand.app.sign_up(&ada())).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
    eventually(SOON, async || stand.app.sign_up(&ada()).await.status == 201).await;
    assert_eq!(stand.app.count("users").await, stand.app.count("outbox").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_commit_is_not_answered_is_a_change_and_is_read_at_once() {
    let stand = Stand::new().await;
    let (id, token) = stand.app.ada_logged_in().await;
    // The version before is at hand, in process and in the store.
    assert_eq!(stand.app.read_user(&id, &token).await.json()["version"], 1);
    let (etag, patch) = (tag(&id, 1), json!({"phone": null}));
    let change = stand.app.change_user((&id, &token), &etag, &patch);
    let answer = stand.losing("COMMIT", change).await;
    assert_eq!(
        (answer.status, answer.header("etag")),
        (200, &*tag(&id, 2)),
        "{}",
        answer.text
    );
    let read = stand.app.read_user(&id, &token).await;
    assert_eq!(
        (read.json(), read.header("etag")),
        (answer.json(), answer.header("etag"))
    );
    let events = format!("SELECT count(*) AS n FROM outbox WHERE aggregate = '{id}'");
    assert_eq!(stand.app.query::<i64>(&events, "n").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_loses_an_answer_before_its_commit_is_none_and_is_told_so() {
    for text in ["FOR NO KEY UPDATE", r#"UPDATE "users""#, r#"INSERT INTO "outbox""#] {
        let stand = Stand::new().await;
        // By way of a replica: a connection that has prepared a statement sends its text no more.
        let replica = TestApp::start_with(stand.app.settings.clone(), None).await;
        eventually(SOON, async || replica.readiness().await.status == 200).await;
        let (id, token) = replica.ada_logged_in().await;
        let (etag, patch) = (tag(&id, 1), json!({"phone": null}));
        let change = || stand.app.change_user((&id, &token), &etag, &patch);
        let answer = stand.losing(text, change()).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (503, "unavailable"),
            "{text}"
        );
        // At once, or when the server has given the broken transaction up and its lock with it.
        let again = eventually(SOON, async || {
            let again = change().await;
            (again.status != 503).then_some(again)
        })
        .await;
        assert_eq!((again.status, again.header("etag")), (200, &*tag(&id, 2)), "{text}");
        let events = format!("SELECT count(*) AS n FROM outbox WHERE aggregate = '{id}'");
        assert_eq!(stand.app.query::<i64>(&events, "n").await, 2, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_that_loses_an_answer_is_told_so_and_harmless_to_repeat() {
    for text in [
        r#"SELECT "users"."id", "users"."status", "users"."password_hash""#,
        r#"INSERT INTO "sessions""#,
        "COMMIT",
    ] {
        let stand = Stand::new().await;
        assert_eq!(stand.app.sign_up(&ada()).await.status, 201);
        let log_in = || stand.app.log_in("ada@example.com", "correct horse battery");
        let answer = stand.losing(text, log_in()).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (503, "unavailable"),
            "{text}"
        );
        assert_eq!(log_in().await.status, 201, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_loses_an_answer_is_told_so() {
    let stand = Stand::new().await;
    let (id, token) = stand.app.ada_logged_in().await;
    // A replica that has nothing in process.
    let replica = TestApp::start_with(stand.app.settings.clone(), None).await;
    eventually(SOON, async || replica.readiness().await.status == 200).await;
    let text = r#"SELECT "users"."id", "users"."email""#;
    let answer = stand.losing(text, replica.read_user(&id, &token)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
    assert_eq!(replica.read_user(&id, &token).await.status, 200);
}
