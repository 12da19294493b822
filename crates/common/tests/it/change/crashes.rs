//! The process is killed at each step of a change: nothing is half-written, and nothing is forgotten.
//!
//! A step runs in a process of its own, this test binary with the name of one test, which aborts there. What
//! it left is then looked at, and a relay is started over it, as the next start of the service would.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::config::{Service, Settings};
use common::database::Database;
use common::messaging::{Broker, Changes, Step, spawn_relay};
use common::process::Tasks;
use common::telemetry::Metrics;
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, Statement};
use test_support::{TestDatabase, eventually};
use uuid::Uuid;

use crate::messaging::fixture::{SOON, someone};

/// Tells the child what it is to do: `<step> <database url>`.
const ORDER: &str = "WAYPOST_TEST_CRASH";
/// What the change writes beside its event.
const MARK: &str = "00000000-0000-7000-8000-000000000001";

#[tokio::test]
async fn a_crash_after_the_rows_leaves_nothing() {
    for database in both().await {
        crash("rows", &database);
        assert_eq!(left(&database).await, (0, 0));
    }
}

#[tokio::test]
async fn a_crash_before_the_commit_leaves_nothing() {
    for database in both().await {
        crash("events", &database);
        assert_eq!(left(&database).await, (0, 0));
    }
}

#[tokio::test]
async fn a_crash_after_the_commit_leaves_all_and_the_event_is_published() {
    for database in both().await {
        crash("commit", &database);
        assert_eq!(left(&database).await, (1, 1));
        the_relay_takes_it_up(&database).await;
    }
}

#[tokio::test]
async fn a_crash_before_the_follow_ups_leaves_all_and_the_event_is_published() {
    for database in both().await {
        crash("woken", &database);
        assert_eq!(left(&database).await, (1, 1));
        the_relay_takes_it_up(&database).await;
    }
}

#[tokio::test]
async fn a_crash_in_a_follow_up_leaves_all_and_the_event_is_published() {
    for database in both().await {
        crash("follow-up", &database);
        assert_eq!(left(&database).await, (1, 1));
        the_relay_takes_it_up(&database).await;
    }
}

/// Not a test by itself: the process that is killed. Without an order it has nothing to do.
#[tokio::test]
async fn the_process_that_crashes() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the order of the process that started this one"
    )]
    let Ok(order) = std::env::var(ORDER) else { return };
    let (step, url) = order.split_once(' ').unwrap();
    let step = step.to_owned();
    let changes = Changes::new(Service::EmailWorker, open(url).await);
    let last = step.clone();
    let changes = changes.observed(move |reached| {
        let here = match reached {
            Step::EventsWritten => "events",
            Step::Committed => "commit",
            Step::Woken => "woken",
        };
        if here == last {
            std::process::abort();
        }
    });
    let mut change = changes.begin().await.unwrap();
    change.tell(&someone()).unwrap();
    change.then(async { std::process::abort() });
    let row = format!(
        "INSERT INTO inbox (consumer, message_id, received_at) VALUES ('crash', {}, 0)",
        mark(url)
    );
    change.tx().execute_unprepared(&row).await.unwrap();
    if step == "rows" {
        std::process::abort();
    }
    change.commit().await.unwrap();
    unreachable!("it was to end at {step}");
}

/// Runs the change in a process of its own up to the step.
fn crash(step: &str, database: &TestDatabase) {
    let this: PathBuf = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args(["--exact", "change::crashes::the_process_that_crashes", "--nocapture"])
        .env(ORDER, format!("{step} {}", database.url()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), None, "it was not killed by its own hand: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// A migrated database of either kind.
async fn both() -> [TestDatabase; 2] {
    let (postgres, sqlite) = (TestDatabase::postgres().await, TestDatabase::sqlite());
    postgres.execute("CREATE SCHEMA email_worker").await;
    for database in [&postgres, &sqlite] {
        let opened = open(database.url()).await;
        let migrations = migrations::of(Owner::EmailWorker);
        migrations.up(opened.unguarded(), None).await.unwrap();
        opened.close().await;
    }
    [postgres, sqlite]
}

async fn open(url: &str) -> Database {
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = url.into();
    settings.database.max_connections = 4;
    Database::connect(&settings, Service::EmailWorker).await.unwrap()
}

/// Rows and events that are there.
async fn left(database: &TestDatabase) -> (i64, i64) {
    let database = open(database.url()).await;
    // PostgreSQL notices that a process is gone, and rolls back, a moment later.
    let read = async |table: &str| {
        let count = format!("SELECT count(*) AS n FROM {table}");
        let count = Statement::from_string(database.read().get_database_backend(), count);
        let row = database.read().query_one_raw(count).await.unwrap().unwrap();
        row.try_get::<i64>("", "n").unwrap()
    };
    let left = (read("inbox").await, read("outbox").await);
    database.close().await;
    left
}

async fn the_relay_takes_it_up(database: &TestDatabase) {
    let (tasks, metrics) = (Tasks::new(Service::EmailWorker), Metrics::new(Service::EmailWorker));
    let opened = open(database.url()).await;
    // A type that nobody consumes here would never be confirmed in memory: the relay's own count tells.
    let broker = Broker::memory();
    let changes = Changes::new(Service::EmailWorker, opened.clone());
    let handled = crate::messaging::fixture::consume_all(&broker, &changes, &metrics, &tasks);
    spawn_relay(&changes, broker, metrics, &tasks);
    handled.reaches(2).await;
    eventually(SOON, async || left(database).await.1 == 0).await;
    tasks.shut_down(Duration::from_secs(5)).await.unwrap();
    opened.close().await;
}

/// The id in the form in which either database writes one.
fn mark(url: &str) -> String {
    if url.starts_with("sqlite") {
        format!("X'{}'", MARK.parse::<Uuid>().unwrap().simple())
    } else {
        format!("'{MARK}'")
    }
}
