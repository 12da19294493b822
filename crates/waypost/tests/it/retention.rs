//! How long rows are kept: the page is that of the code, no table is forgotten, and `waypost prune` by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::config::{Service, Settings};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use test_support::{Folder, ProcessBuilder, TestDatabase};
use waypost::migrate::migrate;
use waypost::retention::{page, tables_of};
use waypost::settings::Programs;

use crate::client::PATIENCE;
use crate::stack::run;

#[test]
fn the_committed_page_is_that_of_the_code() {
    let programs = Programs::load_from(None, &[]).unwrap();
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/retention.md")).unwrap();
    assert!(
        committed.trim_end() == page(&programs.with_database()).trim_end(),
        "docs/retention.md is not what the code says: run `make retention`"
    );
}

#[tokio::test]
async fn each_table_of_each_service_says_what_becomes_of_its_rows() {
    for service in Service::WITH_DATABASE {
        let database = migrated(TestDatabase::sqlite()).await;
        let mut settings = Settings::for_tests(service);
        settings.database.url = database.url().to_owned().into();
        let inside = common::database::Database::connect(&settings, service).await.unwrap();
        let connection = inside.read();
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let names = Statement::from_string(connection.get_database_backend(), names);
        let rows = connection.query_all_raw(names).await.unwrap();
        let there: BTreeSet<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
        let told: BTreeSet<_> = tables_of(service).iter().map(|table| table.name.to_owned()).collect();
        assert_eq!(there, told, "{service}: name it in the service's retention.rs");
    }
}

async fn migrated(database: TestDatabase) -> TestDatabase {
    for service in Service::WITH_DATABASE {
        let mut settings = Settings::for_tests(service);
        settings.database.url = database.url().to_owned().into();
        migrate(&settings, service).await.unwrap();
    }
    database
}

/// Runs `waypost prune` to its end: its exit code, and all that it said.
async fn prune(database: &TestDatabase, arguments: &str) -> (Option<i32>, String) {
    let folder = Folder::create();
    // Nothing but the database is there.
    let environment = [
        ("WAYPOST__DATABASE__URL".to_owned(), database.url().to_owned()),
        ("WAYPOST__BROKER__URL".to_owned(), "amqp://127.0.0.1:1/%2f".to_owned()),
        ("WAYPOST__STORE__URL".to_owned(), "redis://127.0.0.1:1/0".to_owned()),
    ];
    let command = run("waypost", &environment).arg("prune").folder(folder.path());
    let mut command = arguments.split_whitespace().fold(command, ProcessBuilder::arg).spawn();
    let status = command.exit(PATIENCE).await;
    (status.code(), command.output())
}

/// Rows that are said of a service's inbox.
fn inbox(shown: &str, service: &str) -> Vec<Value> {
    let lines = shown.lines().filter(|line| line.starts_with('{'));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["service"] == service && line["table"] == "inbox")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn waypost_prune_says_what_would_go_and_then_deletes_it() {
    for database in [TestDatabase::postgres().await, TestDatabase::sqlite()] {
        let database = migrated(database).await;
        let mut settings = Settings::for_tests(Service::EmailWorker);
        settings.database.url = database.url().to_owned().into();
        let inside = common::database::Database::connect(&settings, Service::EmailWorker)
            .await
            .unwrap();
        let id = if inside.is_postgres() {
            "gen_random_uuid()"
        } else {
            "randomblob(16)"
        };
        let insert =
            format!("INSERT INTO inbox (consumer, message_id, received_at) VALUES ('q', {id}, 0), ('q', {id}, 1)");
        inside.unguarded().execute_unprepared(&insert).await.unwrap();
        inside.close().await;

        let told = |rows: u64, dry_run: bool| json!({"service": "email-worker", "table": "inbox", "rows": rows, "more": false, "dry_run": dry_run});
        let (code, shown) = prune(&database, "--dry-run --json").await;
        assert_eq!(
            (code, inbox(&shown, "email-worker")),
            (Some(0), vec![told(2, true)]),
            "{shown}"
        );
        assert_eq!(inbox(&shown, "notification-gateway").len(), 1, "{shown}");
        let (code, shown) = prune(&database, "--service email-worker --json").await;
        assert_eq!(
            (code, inbox(&shown, "email-worker")),
            (Some(0), vec![told(2, false)]),
            "{shown}"
        );
        assert_eq!(inbox(&shown, "notification-gateway").len(), 0, "{shown}");
        let (code, shown) = prune(&database, "").await;
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("email-worker: inbox: deleted 0"), "{shown}");
        assert!(
            shown.contains("notification-gateway: notifications: deleted 0"),
            "{shown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waypost_prune_says_that_the_tables_are_missing() {
    let database = TestDatabase::sqlite();
    let (code, shown) = prune(&database, "--dry-run").await;
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("waypost migrate"), "{shown}");
}
