use std::time::Duration;

use common::config::{Service, Settings};
use common::database::{Database, Many};
use common::process::State;
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use test_support::{PrivatePostgres, TestDatabase, eventually};
use uuid::Uuid;

/// Longest that a server of this machine needs to let go of connections.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_sqlite_service_migrates_up_and_down_in_a_file_of_its_own() {
    let folder = std::env::temp_dir().join(format!("waypost-{}", uuid::Uuid::now_v7()));
    let mut settings = Settings::for_tests(Service::UserApi);
    settings.database.url = format!("sqlite://{}/w.db", folder.display()).into();
    let database = Database::connect(&settings, Service::UserApi).await.unwrap();
    let migrations = migrations::of(Owner::UserApi);
    let names = migrations.names();
    let refused = database.check_migrated(&names).await.unwrap_err();
    assert!(refused.to_string().contains("waypost migrate"), "{refused}");
    migrations.up(database.unguarded(), None).await.unwrap();
    database.check_migrated(&names).await.unwrap();
    assert!(folder.join("w-user-api.db").exists());
    database.read().execute_unprepared("SELECT * FROM users").await.unwrap();
    // FULL: what was committed is on the disk, and a power cut takes nothing back.
    let synchronous = Statement::from_string(DbBackend::Sqlite, "PRAGMA synchronous");
    let row = database.unguarded().query_one_raw(synchronous).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i32>(0).unwrap(), 2);
    migrations.down(database.unguarded(), None).await.unwrap();
    assert!(database.read().execute_unprepared("SELECT * FROM users").await.is_err());
    database.close().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn many_values_are_one_parameter_on_either_database() {
    for test in [TestDatabase::postgres().await, TestDatabase::sqlite()] {
        let connection = test.connect().await;
        let backend = connection.get_database_backend();
        let id = if test.url().starts_with("sqlite") {
            "BLOB"
        } else {
            "UUID"
        };
        test.execute(&format!(
            "CREATE TABLE things (id {id} NOT NULL, number BIGINT NOT NULL, word TEXT NOT NULL)"
        ))
        .await;
        let ids: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
        for (number, id) in (0_i64..).zip(&ids) {
            let insert = "INSERT INTO things (id, number, word) VALUES ($1, $2, $3)";
            let values = [(*id).into(), number.into(), format!("w{number}").into()];
            let insert = Statement::from_sql_and_values(backend, insert, values);
            connection.execute_raw(insert).await.unwrap();
        }
        let numbers = async |condition: String, many: &Many| -> Vec<i64> {
            let sql = format!("SELECT number FROM things WHERE {condition} ORDER BY number");
            let query = Statement::from_sql_and_values(backend, sql, [many.value()]);
            let rows = connection.query_all_raw(query).await.unwrap();
            rows.iter().map(|row| row.try_get("", "number").unwrap()).collect()
        };
        let some = [
            ("id", Many::ids(ids[1..3].iter().copied()), Many::ids([])),
            ("number", Many::numbers(1..3), Many::numbers([])),
            ("word", Many::words(["w1", "w2", "other"]), Many::words([])),
        ];
        for (column, many, none) in some {
            assert_eq!(numbers(many.hold(backend, column, 1), &many).await, [1, 2], "{column}");
            assert_eq!(numbers(many.lack(backend, column, 1), &many).await, [0, 3], "{column}");
            assert_eq!(numbers(none.hold(backend, column, 1), &none).await, [0; 0], "{column}");
            assert_eq!(
                numbers(none.lack(backend, column, 1), &none).await,
                [0, 1, 2, 3],
                "{column}"
            );
        }
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn readiness_says_what_to_raise_where_the_server_is_full() {
    const MOST: usize = 12;
    let full = [&format!("max_connections={MOST}"), "superuser_reserved_connections=0"];
    let postgres = PrivatePostgres::with(&full).await;
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = postgres.url().into();
    let migrations = migrations::of(Owner::EmailWorker);
    let idle = postgres.idle_connections(MOST).await;
    let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
    let names = migrations.names();
    let says = async |words: &str| {
        let found = database.readiness(&names).await;
        found.state == State::Down && found.cure.is_some_and(|cure| cure.contains(words))
    };
    eventually(PATIENCE, async || says("raise its max_connections").await).await;
    drop(idle);
    // It is reached then, and has no tables yet.
    eventually(PATIENCE, async || says("waypost migrate").await).await;
    database.close().await;
}
