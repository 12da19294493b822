//! Every migration of every service, up and down, on both databases.

use std::collections::BTreeMap;

use migrations::{Migrations, MigratorTraitSelf, Owner};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use test_support::TestDatabase;

/// The migrations' own table stays.
const OWN: &str = "seaql_migrations";

/// What a database holds: a line for each column and each index of a table.
type Schema = BTreeMap<String, Vec<String>>;

/// The tables, their columns and their indexes.
async fn schema(connection: &DatabaseConnection) -> Schema {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT CAST(table_name AS text) AS name, concat_ws(' ', column_name, data_type, is_nullable, column_default) AS line \
             FROM information_schema.columns WHERE table_schema = 'public' \
             UNION ALL SELECT CAST(tablename AS text), indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
        }
        _ => {
            "SELECT m.name AS name, concat_ws(' ', c.name, c.type, c.\"notnull\", c.dflt_value) AS line \
             FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' \
             UNION ALL SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1, 2"
        }
    };
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await;
    let mut tables = Schema::new();
    for row in rows.unwrap() {
        let (name, line): (String, String) = (row.try_get("", "name").unwrap(), row.try_get("", "line").unwrap());
        tables.entry(name).or_default().push(line);
    }
    tables.remove(OWN);
    tables
}

/// A value for a column of this type. All ids are one, so that a row points at one that is there.
fn value(backend: DbBackend, kind: &str) -> &'static str {
    match (backend, kind) {
        (_, "boolean") => "true",
        (_, kind) if kind.contains("int") => "1",
        (DbBackend::Postgres, "uuid") => "'01900000-0000-7000-8000-000000000001'",
        (DbBackend::Postgres, "bytea") => "'\\x01'",
        (_, kind) if kind.contains("json") => "'{}'",
        (_, kind) if kind.contains("uuid") || kind == "blob" => "x'01900000000070008000000000000001'",
        _ => "'x'",
    }
}

/// One row into each table, every column filled.
async fn fill(connection: &DatabaseConnection) {
    let backend = connection.get_database_backend();
    let mut tables: Vec<String> = schema(connection).await.into_keys().collect();
    // The one that others point at.
    tables.sort_by_key(|table| table != "users");
    for table in tables {
        let columns = match backend {
            DbBackend::Postgres => format!(
                "SELECT CAST(column_name AS text) AS name, CAST(data_type AS text) AS kind FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}'"
            ),
            _ => format!("SELECT name, lower(type) AS kind FROM pragma_table_info('{table}')"),
        };
        let rows = connection.query_all_raw(Statement::from_string(backend, columns)).await;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for row in rows.unwrap() {
            names.push(format!("\"{}\"", row.try_get::<String>("", "name").unwrap()));
            values.push(value(backend, &row.try_get::<String>("", "kind").unwrap()));
        }
        let insert = format!(
            "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            names.join(", "),
            values.join(", ")
        );
        connection.execute_unprepared(&insert).await.unwrap();
    }
}

/// How many rows each of these tables has.
async fn counts(connection: &DatabaseConnection, tables: &Schema) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in tables.keys() {
        let count = format!("SELECT count(*) AS n FROM {table}");
        let count = Statement::from_string(connection.get_database_backend(), count);
        let row = connection.query_one_raw(count).await.unwrap().unwrap();
        counts.push(row.try_get("", "n").unwrap());
    }
    counts
}

/// One migration after the other, each down and up again with rows in every table; then all at once.
async fn each_and_all(migrations: Migrations, database: &TestDatabase) {
    let connection = database.connect().await;
    let mut before = Schema::new();
    for migration in migrations.migrations() {
        let name = migration.name();
        migrations.up(&connection, Some(1)).await.unwrap();
        let after = schema(&connection).await;
        assert_ne!(before, after, "{name} does nothing");
        fill(&connection).await;
        assert!(
            counts(&connection, &after).await.iter().all(|rows| *rows == 1),
            "{name}"
        );
        migrations.down(&connection, Some(1)).await.unwrap();
        assert_eq!(
            schema(&connection).await,
            before,
            "what {name} left behind, or took with it"
        );
        // What was there before the migration keeps its rows, whatever other columns they lose.
        assert!(
            counts(&connection, &before).await.iter().all(|rows| *rows == 1),
            "{name}"
        );
        migrations.up(&connection, Some(1)).await.unwrap();
        assert_eq!(schema(&connection).await, after, "{name} once more");
        assert!(
            counts(&connection, &before).await.iter().all(|rows| *rows == 1),
            "{name}"
        );
        before = after;
    }
    fill(&connection).await;
    migrations.down(&connection, None).await.unwrap();
    assert_eq!(schema(&connection).await, Schema::new());
    migrations.up(&connection, None).await.unwrap();
    assert_eq!(schema(&connection).await, before);
    connection.close().await.unwrap();
}

async fn of_every_service(database: impl AsyncFn() -> TestDatabase) {
    for owner in [Owner::UserApi, Owner::EmailWorker, Owner::NotificationGateway] {
        each_and_all(migrations::of(owner), &database().await).await;
    }
}

#[tokio::test]
async fn each_migration_is_taken_back_and_made_again_with_rows_in_the_tables_on_postgres() {
    of_every_service(TestDatabase::postgres).await;
}

#[tokio::test]
async fn each_migration_is_taken_back_and_made_again_with_rows_in_the_tables_on_sqlite() {
    of_every_service(async || TestDatabase::sqlite()).await;
}
