//! What can't be seen from outside: leases between replicas whose clocks differ, and what a claim reads.

use sea_orm::{DatabaseConnection, TransactionTrait};
use test_support::TestDatabase;

use super::*;
use crate::config::{Service, Settings};
use crate::dispatch::{NewDelivery, enqueue, holds};
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

/// The tables of a service that sends, in a database of the test's own.
async fn migrated(kept: &TestDatabase) -> Database {
    if kept.url().starts_with("postgres") {
        kept.execute("CREATE SCHEMA email_worker").await;
    }
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
    let database = migrated(&kept).await;
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

/// A thousand deliveries to `mail`, which is held, are due before four to each other destination.
async fn beside_a_hold(database: &Database, now: Timestamp) {
    let tx = database.unguarded().begin().await.unwrap();
    let add = async |destination: String, due: Timestamp| {
        let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), destination);
        enqueue(&tx, new, due).await.unwrap();
    };
    for number in 0..1_000 {
        add(format!("mail-{}", number % 7), now - HOUR).await;
    }
    for number in 0..4 {
        for free in ["sms", "mailing", "a"] {
            add(free.to_owned(), now).await;
        }
        add(format!("webhook.{}", number % 2), now).await;
    }
    let hold = holds::Model {
        destination: "mail".into(),
        until: now + HOUR,
        reason: "why".into(),
        who: "ada".into(),
        since: now,
    };
    holds::put(&tx, hold).await.unwrap();
    tx.commit().await.unwrap();
    database.write().execute_unprepared("ANALYZE").await.unwrap();
}

/// The destinations that the claimed deliveries are part of, sorted.
fn wholes(claimed: &[Delivery]) -> Vec<String> {
    let mut wholes: Vec<String> = claimed
        .iter()
        .filter_map(|one| one.destination.split(['.', '-']).next())
        .map(str::to_owned)
        .collect();
    wholes.sort_unstable();
    wholes
}

/// The database's plan for a statement; PostgreSQL runs the statement too.
async fn explained(database: &Database, mut statement: Statement) -> String {
    let (explain, column) = match statement.db_backend {
        DbBackend::Postgres => ("EXPLAIN (ANALYZE)", 0),
        _ => ("EXPLAIN QUERY PLAN", 3),
    };
    statement.sql = format!("{explain} {}", statement.sql);
    let lines = database.write().query_all_raw(statement).await.unwrap();
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.try_get_by_index(column).unwrap())
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn what_is_held_is_not_read_and_all_others_have_their_share() {
    for kept in [TestDatabase::postgres().await, TestDatabase::sqlite()] {
        let (database, now) = (migrated(&kept).await, Timestamp::now());
        assert_eq!(open(&database, now).await.unwrap(), None, "nothing is held");
        beside_a_hold(&database, now).await;
        let mut others = open(&database, now).await.unwrap().unwrap();
        others.sort_unstable();
        assert_eq!(others, ["a", "mailing", "sms", "webhook"]);

        let behind = [
            ("mail", 1_000),
            ("mail-3", 143),
            ("webhook", 4),
            ("webhook.1", 2),
            ("sms.first", 0),
        ];
        for (held, due) in behind {
            let counted = async |now| holds::waiting(database.write(), held, now).await.unwrap();
            assert_eq!((counted(now).await, counted(now - 2 * HOUR).await), (due, 0), "{held}");
        }

        // Whichever is asked first has enough for all four places.
        let four = Wanted { limit: 4, ..wanted() };
        let first = wholes(&claim(&database, &four, now).await.unwrap());
        assert_eq!(first, others);
        let two = Wanted { limit: 2, ..wanted() };
        let two = wholes(&claim(&database, &two, now).await.unwrap());
        assert!(two.len() == 2 && two[0] != two[1], "{two:?}");
        let rest = wholes(&claim(&database, &wanted(), now).await.unwrap());
        assert_eq!(rest.len(), 10);
        assert!(rest.iter().all(|one| others.contains(one)), "{rest:?}");
        let back = "UPDATE deliveries SET status = 'pending', lease_until = NULL";
        database.write().execute_unprepared(back).await.unwrap();

        let share = Share {
            limit: 10,
            of: Some("webhook"),
        };
        let backend = database.write().get_database_backend();
        let plan = explained(&database, claiming(backend, &wanted(), share, now)).await;
        if kept.url().starts_with("postgres") {
            // What it read there, it took.
            assert!(plan.contains("deliveries_whole"), "{plan}");
            assert!(!plan.contains("Rows Removed by Filter"), "{plan}");
        } else {
            // SQLite's plan counts no rows; but it shows that only rows of the share's destination are read.
            assert!(plan.contains("USING INDEX deliveries_whole (<expr>=?)"), "{plan}");
            assert!(!plan.contains("SCAN deliveries"), "{plan}");
        }
    }
}

#[tokio::test]
async fn what_waits_behind_a_hold_is_counted_along_the_index_and_its_limit_ends_the_read() {
    let kept = TestDatabase::sqlite();
    let (database, now) = (migrated(&kept).await, Timestamp::now());
    for held in ["mail", "mail-3", "sms.first"] {
        let counting = holds::counting(DbBackend::Sqlite, held, now);
        // Below the conditions on what is due and of which part.
        let (inner, conditions) = counting.sql.split_once(" LIMIT 10000 ").unwrap();
        assert!(!inner.contains("next_attempt_at <=") && conditions.contains("next_attempt_at <="));
        let plan = explained(&database, counting).await;
        assert!(
            plan.contains("deliveries_whole") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}
