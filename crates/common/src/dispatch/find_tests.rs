//! Searches and orders on PostgreSQL: pages, copies, what its holder may still tell of, and the bounds of what is read.

use migrations::{MigratorTraitSelf, Owner};
use test_support::TestDatabase;

use super::*;
use crate::config::{Service, Settings};
use crate::database::Database;
use crate::dispatch::{NewDelivery, enqueue, orders};

async fn postgres(kept: &TestDatabase) -> Database {
    kept.execute("CREATE SCHEMA email_worker").await;
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = kept.url().into();
    let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
    let migrations = migrations::of(Owner::EmailWorker);
    migrations.up(database.unguarded(), None).await.unwrap();
    database
}

async fn add(database: &Database, destination: &str) -> Uuid {
    let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), destination.into());
    let added = enqueue(database.unguarded(), new, Timestamp::now()).await.unwrap();
    added.unwrap()
}

#[tokio::test]
async fn a_search_that_finds_few_goes_on_page_after_page_and_misses_none() {
    let kept = TestDatabase::postgres().await;
    let database = postgres(&kept).await;
    let mut meant = Vec::new();
    for place in 0..12 {
        let destination = if place % 5 == 1 { "b" } else { "a" };
        let id = add(&database, destination).await;
        if destination == "b" {
            meant.insert(0, id);
        }
    }
    let filter = Filter {
        destination: Some("b".into()),
        older_than: Some(Duration::ZERO),
        ..Filter::default()
    };
    let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let asked = (before, 2, 4);
        let page = find_among(database.unguarded(), &filter, asked, Timestamp::now());
        let page = page.await.unwrap();
        found.extend(page.deliveries.into_iter().map(|row| row.id));
        pages += 1;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, meant);
    assert!((3..=4).contains(&pages), "{pages}");
    let young = Filter {
        older_than: Some(Duration::from_hours(1)),
        ..filter
    };
    let page = find(database.unguarded(), &young, (None, 10), Timestamp::now()).await;
    assert!(page.unwrap().deliveries.is_empty());
}

#[tokio::test]
async fn one_of_which_a_copy_was_taken_is_not_sent_once_more_by_the_same_order() {
    let kept = TestDatabase::postgres().await;
    let database = postgres(&kept).await;
    let connection = database.unguarded();
    let (first, now) = (add(&database, "a").await, Timestamp::now());
    let row = async |id: Uuid| orders::locked(connection, id).await.unwrap().unwrap();
    let stands = async |id: Uuid, status: &str| {
        let sql = format!("UPDATE deliveries SET status = '{status}', priority = 100 WHERE id = '{id}'");
        connection.execute_unprepared(&sql).await.unwrap();
    };
    stands(first, "failed").await;
    assert!(!orders::is_being_resent(connection, &row(first).await).await.unwrap());
    let copy = orders::resend(connection, row(first).await, now).await.unwrap();
    assert_eq!(row(copy).await.priority, 0);
    for (status, is_resent) in [
        ("pending", true),
        ("sending", true),
        ("accepted", true),
        ("delivered", true),
        ("failed", false),
    ] {
        stands(copy, status).await;
        let found = orders::is_being_resent(connection, &row(first).await).await.unwrap();
        assert_eq!(found, is_resent, "{status}");
    }
    // A copy of the copy is one of the first, too; the copy itself may go once more when it was taken.
    let second = orders::resend(connection, row(copy).await, now).await.unwrap();
    assert!(orders::is_being_resent(connection, &row(first).await).await.unwrap());
    assert!(!orders::is_being_resent(connection, &row(second).await).await.unwrap());
}

#[tokio::test]
async fn what_was_left_behind_is_not_taken_back_while_its_holder_may_tell_of_it() {
    let kept = TestDatabase::postgres().await;
    let database = postgres(&kept).await;
    let connection = database.unguarded();
    let (id, now) = (add(&database, "a").await, Timestamp::now());
    let hold = format!("UPDATE deliveries SET lease_holder = '{}'", Uuid::now_v7());
    connection.execute_unprepared(&hold).await.unwrap();
    assert!(!orders::cancel(connection, id, now).await.unwrap());
    connection
        .execute_unprepared("UPDATE deliveries SET lease_holder = NULL")
        .await
        .unwrap();
    assert!(orders::cancel(connection, id, now).await.unwrap());
}

#[tokio::test]
async fn of_each_delivery_the_newest_exchanges_are_read_and_answers_are_kept_of_its_first_hundred_tries() {
    use crate::dispatch::attempt::{insert, of};
    use crate::dispatch::{Exchange, ExchangeStatus};
    let kept = TestDatabase::postgres().await;
    let database = postgres(&kept).await;
    let connection = database.unguarded();
    let mut rows = Vec::new();
    for tries in [25, 3] {
        let id = add(&database, "a").await;
        let mut row = orders::locked(connection, id).await.unwrap().unwrap();
        for attempt in 1..=tries {
            row.attempts = if attempt == tries { 101 } else { attempt };
            let exchange = Exchange {
                provider: "p".into(),
                status: ExchangeStatus::Failed,
                answer: Some("no".into()),
                reason: None,
            };
            let exchanges = [exchange];
            let written = insert(connection, &row, (&exchanges, None), Timestamp::now());
            written.await.unwrap();
        }
        rows.push(row);
    }
    let found = of(connection, &rows).await.unwrap();
    for (row, expected) in rows.iter().zip([20, 3]) {
        let of_it: Vec<_> = found.iter().filter(|one| one.delivery_id == row.id).collect();
        assert_eq!(of_it.len(), expected);
        assert!(of_it.is_sorted_by_key(|one| one.id));
        let last = of_it.last().unwrap();
        assert_eq!((last.attempt, last.answer.as_deref()), (101, None));
        assert_eq!(of_it[0].answer.as_deref(), Some("no"));
    }
}
