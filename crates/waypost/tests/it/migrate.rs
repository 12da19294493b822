//! `waypost migrate` on a database that is in use, and several at once.

use common::config::{Service, Settings};
use migrations::{MigratorTraitSelf, Owner};
use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use test_support::TestDatabase;
use waypost::migrate::migrate;

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_a_table_that_is_in_use_and_holds_nobody_up_meanwhile() {
    let database = TestDatabase::postgres().await;
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = database.url().to_owned().into();
    migrate(&settings, Service::EmailWorker).await.unwrap();
    let mut options = ConnectOptions::new(database.url());
    options
        .max_connections(1)
        .map_sqlx_postgres_opts(|options| options.options([("search_path", "email_worker")]));
    let inside = Database::connect(options.clone()).await.unwrap();
    let migrations = migrations::of(Owner::EmailWorker);
    // With the one before it, which alters the table.
    migrations.down(&inside, Some(2)).await.unwrap();

    // Somebody reads for longer than the migration waits at a time, and others come and go.
    let reading = "BEGIN; SELECT count(*) FROM deliveries; SELECT pg_sleep(3); COMMIT";
    let others = async {
        let other = Database::connect(options.clone()).await.unwrap();
        other.execute_unprepared("SET statement_timeout = '2s'").await.unwrap();
        for _ in 0..30 {
            other
                .execute_unprepared("SELECT count(*) FROM deliveries")
                .await
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let (read, migrated, ()) = tokio::join!(
        inside.execute_unprepared(reading),
        migrate(&settings, Service::EmailWorker),
        others
    );
    read.unwrap();
    migrated.unwrap();
    assert!(migrations.get_pending_migrations(&inside).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_migrations_at_once_wait_for_each_other_and_all_succeed() {
    let database = TestDatabase::postgres().await;
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = database.url().to_owned().into();
    // Among them are indexes that are built while others wait.
    let (first, second, third) = tokio::join!(
        migrate(&settings, Service::EmailWorker),
        migrate(&settings, Service::EmailWorker),
        migrate(&settings, Service::NotificationGateway)
    );
    for migrated in [first, second, third] {
        migrated.unwrap();
    }
}
