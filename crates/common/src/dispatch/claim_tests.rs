//! What can't be seen from outside: leases between replicas whose clocks differ.

use sea_orm::DatabaseConnection;
use test_support::TestDatabase;

use super::*;
use crate::config::{Service, Settings};
use crate::dispatch::{NewDelivery, enqueue};
use migrations::{MigratorTraitSelf, Owner};

const HOUR: Duration = Duration::from_hours(1);

fn wanted() -> Wanted {
    Wanted {
        limit: 10,
        per_destination: 10,
        per_recipient: 10,
        lease: Duration::from_secs(30),
        holder: Uuid::now_v7(),
        spoken_for: vec![],
        busy: vec![],
        full: vec![],
        resting: vec![],
        served: vec![],
    }
}

async fn postgres(kept: &TestDatabase) -> Database {
    kept.execute("CREATE SCHEMA email_worker").await;
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = kept.url().into();
    let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
    let migrations = migrations::of(Owner::EmailWorker);
    migrations.up(database.unguarded(), None).await.unwrap();
    database
}

async fn add(connection: &DatabaseConnection, now: Timestamp) {
    let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
    enqueue(connection, new, now).await.unwrap();
}

#[tokio::test]
async fn on_postgres_a_lease_lives_by_the_databases_clock_not_by_a_replicas() {
    let kept = TestDatabase::postgres().await;
    let database = postgres(&kept).await;
    let now = Timestamp::now();
    let clocks = [now - HOUR, now, now + HOUR];
    for claimers in clocks {
        add(database.unguarded(), claimers).await;
        let wanted = wanted();
        let held = claim(&database, &wanted, claimers).await.unwrap();
        assert_eq!(held.len(), 1);
        let held = [held[0].id];
        for reapers in clocks {
            assert_eq!(reap(&database, &[], reapers).await.unwrap().len(), 0, "it is alive");
        }
        let renewed = crate::dispatch::record::renew(database.write(), wanted.holder, &held, HOUR, claimers);
        assert_eq!(renewed.await.unwrap(), held);
        for reapers in clocks {
            assert_eq!(reap(&database, &[], reapers).await.unwrap().len(), 0, "it was renewed");
        }
        let end = "UPDATE deliveries SET lease_until = lease_until - 7200000000";
        database.write().execute_unprepared(end).await.unwrap();
        assert_eq!(
            reap(&database, &held, claimers).await.unwrap().len(),
            0,
            "somebody has it"
        );
        assert_eq!(reap(&database, &[], claimers).await.unwrap().len(), 1, "it ran out");
        database
            .write()
            .execute_unprepared("DELETE FROM deliveries")
            .await
            .unwrap();
    }
}
