//! What the service does while what it stands on is away.

use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use test_support::{PrivatePostgres, PrivateRedis, TestDatabase, eventually};

use crate::test_app::{SOON, TestApp, ada, migrate, settings};

/// What an answer without a dependency may take on a busy machine; far from any wait for ever.
const FAST: Duration = Duration::from_secs(8);

fn person(name: &str) -> serde_json::Value {
    let mut person = ada();
    person["email"] = json!(format!("{name}@example.com"));
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_people_sign_up_and_read_and_it_heals() {
    let mut redis = PrivateRedis::start().await;
    let url = redis.url();
    let app = TestApp::start_on(TestDatabase::postgres().await, |settings| {
        settings.store.url = url.into();
    })
    .await;
    let (id, token) = app.ada_logged_in().await;
    redis.kill();
    eventually(SOON, async || {
        app.readiness().await.json()["dependencies"]["store"] == "down"
    })
    .await;
    let readiness = app.readiness().await;
    assert_eq!(
        (readiness.status, &readiness.json()["status"]),
        (200, &json!("degraded"))
    );
    for n in 0..5 {
        let signed_up = app.sign_up(&person(&format!("redis{n}"))).await;
        assert_eq!(signed_up.status, 201, "{}", signed_up.text);
        let read = app.read_user(&id, &token).await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert!(signed_up.took < FAST && read.took < FAST);
    }
    // Another replica, which has nothing in process, starts and reads from the database.
    let mut other = app.settings.clone();
    other.store.prefix.push('x');
    let other = TestApp::start_with(other, Some(common::messaging::Broker::memory())).await;
    let read = eventually(SOON, async || {
        let read = other.read_user(&id, &token).await;
        (read.status == 200).then_some(read)
    })
    .await;
    assert_eq!(read.header("cache-status"), "waypost-redis; fwd=bypass");
    redis.start().await;
    eventually(SOON, async || app.readiness().await.json()["status"] == "up").await;
    assert_eq!(app.sign_up(&person("healed")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_slows_nobody_down() {
    let redis = PrivateRedis::start().await;
    let url = redis.url();
    let app = TestApp::start_on(TestDatabase::postgres().await, |settings| {
        settings.store.url = url.into();
        settings.store.response_timeout = Duration::from_millis(50);
    })
    .await;
    let (id, token) = app.ada_logged_in().await;
    redis.freeze();
    for n in 0..5 {
        let signed_up = app.sign_up(&person(&format!("hang{n}"))).await;
        assert_eq!(signed_up.status, 201, "{}", signed_up.text);
        let read = app.read_user(&id, &token).await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert!(signed_up.took < FAST && read.took < FAST);
    }
    redis.thaw();
    eventually(SOON, async || app.readiness().await.json()["status"] == "up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_people_sign_up_and_their_events_wait() {
    let database = TestDatabase::postgres().await;
    let mut settings = settings(database.url(), "no-broker");
    settings.store.url = "memory://".to_owned().into();
    // Nothing listens there.
    settings.broker.url = "amqp://guest:guest@127.0.0.1:9/%2f".to_owned().into();
    migrate(&settings).await;
    let app = TestApp::start_with(settings, None).await;
    eventually(SOON, async || {
        app.readiness().await.json()["dependencies"]["database"] == "up"
    })
    .await;
    let readiness = app.readiness().await;
    assert_eq!(
        (readiness.status, &readiness.json()["status"]),
        (200, &json!("degraded"))
    );
    assert_eq!(app.sign_up(&ada()).await.status, 201);
    assert_eq!(app.count("outbox").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_said_fast_and_found_again() {
    let mut postgres = PrivatePostgres::start().await;
    let mut settings = settings(&postgres.url(), "database-away");
    settings.store.url = "memory://".to_owned().into();
    migrate(&settings).await;
    postgres.kill();
    // It starts all the same.
    let app = TestApp::start_with(settings, Some(common::messaging::Broker::memory())).await;
    let readiness = app.readiness().await;
    assert_eq!((readiness.status, &readiness.json()["status"]), (503, &json!("down")));
    postgres.start_and_wait().await;
    eventually(SOON, async || app.readiness().await.status == 200).await;
    let (id, token) = app.ada_logged_in().await;

    postgres.kill();
    for answer in [
        app.sign_up(&person("away")).await,
        app.log_in("ada@example.com", "correct horse battery").await,
    ] {
        assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
        assert!(!answer.header("retry-after").is_empty());
        assert!(answer.took < FAST, "{:?}", answer.took);
        println!("database away: answered in {:?}", answer.took);
    }
    // What is cached is still answered.
    let read = app.read_user(&id, &token).await;
    assert_eq!(read.status, 200, "{}", read.text);
    postgres.start_and_wait().await;
    eventually(SOON, async || app.sign_up(&person("back")).await.status == 201).await;
    assert_eq!(
        app.log_in("away@example.com", "correct horse battery").await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_hangs_nobody() {
    let postgres = PrivatePostgres::start().await;
    let mut settings = settings(&postgres.url(), "database-hangs");
    settings.store.url = "memory://".to_owned().into();
    migrate(&settings).await;
    let app = TestApp::start_with(settings, Some(common::messaging::Broker::memory())).await;
    eventually(SOON, async || app.readiness().await.status == 200).await;
    postgres.freeze();
    let signed_up = app.sign_up(&ada()).await;
    assert_eq!((signed_up.status, signed_up.problem().as_str()), (503, "unavailable"));
    assert!(signed_up.took < FAST, "{:?}", signed_up.took);
    println!("database hangs: answered in {:?}", signed_up.took);
    postgres.thaw();
    eventually(SOON, async || matches!(app.sign_up(&ada()).await.status, 201 | 409)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_stops_the_start_with_what_to_run() {
    let database = TestDatabase::postgres().await;
    let settings = settings(database.url(), "no-tables");
    let tasks = common::process::Tasks::new(common::config::Service::UserApi);
    let backends = user_api::Backends {
        broker: Some(common::messaging::Broker::memory()),
        ..Default::default()
    };
    let refused = user_api::start(settings, backends, tasks).await;
    let Err(error) = refused else {
        panic!("it started without tables")
    };
    assert!(error.to_string().contains("waypost migrate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_within_its_time_and_finishes_what_it_has_in_hand() {
    let app = TestApp::start_on(TestDatabase::postgres().await, |settings| {
        settings.store.url = "memory://".to_owned().into();
    })
    .await;
    let holder = app.inside().await.begin().await.unwrap();
    holder
        .execute_unprepared("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let person = ada();
    let in_hand = app.sign_up(&person);
    let stop = async {
        // The request is in hand once its write waits for the table.
        let waits = "SELECT count(*) AS n FROM pg_locks JOIN pg_database AS d ON d.oid = database
                     WHERE NOT granted AND datname = current_database()";
        eventually(SOON, async || app.query::<i64>(waits, "n").await > 0).await;
        let (took, freed) = futures_util::future::join(app.stop(), holder.commit()).await;
        freed.unwrap();
        took
    };
    let (answer, took) = futures_util::future::join(in_hand, stop).await;
    assert_eq!(answer.status, 201);
    assert!(took < Duration::from_secs(15), "{took:?}");
}
