//! A redelivery changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Timestamp;
use common::messaging::inbox;
use contracts::topology::EMAIL_WORKER_EVENTS;
use sea_orm::DbErr;
use test_support::eventually;
use uuid::Uuid;

use super::fixture::{Fixture, SOON, Store, outbound, someone};

#[tokio::test]
async fn a_message_is_handled_once_on_postgres() {
    a_message_is_handled_once(Store::postgres().await, Fixture::rabbit().await).await;
}

#[tokio::test]
async fn a_message_is_handled_once_on_sqlite() {
    a_message_is_handled_once(Store::sqlite().await, Fixture::memory()).await;
}

async fn a_message_is_handled_once(store: Store, fixture: Fixture) {
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let effects = Arc::new(AtomicUsize::new(0));
    let (database, counted) = (store.database.clone(), effects.clone());
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |message| {
        let (database, counted, id) = (database.clone(), counted.clone(), message.id);
        Box::pin(async move {
            let tx = database.begin().await?;
            let first = inbox::first_time(&tx, "email-worker.events", id, Timestamp::now()).await?;
            tx.commit().await?;
            counted.fetch_add(usize::from(first), Ordering::SeqCst);
            Ok(())
        })
    });
    let message = outbound(&someone());

    for _ in 0..20 {
        fixture.publish(message.clone());
    }

    seen.reaches(20).await;
    let acked = "queue=\"email-worker.events\",outcome=\"ack\"} 20";
    eventually(SOON, async || fixture.metrics.render().contains(acked)).await;
    assert_eq!(effects.load(Ordering::SeqCst), 1);
    fixture.end().await;
}

#[tokio::test]
async fn what_was_rolled_back_was_not_handled() {
    for store in [Store::postgres().await, Store::sqlite().await] {
        let id = Uuid::now_v7();
        let first = async |consumer: &str, commit: bool| -> Result<bool, DbErr> {
            let tx = store.database.begin().await?;
            let first = inbox::first_time(&tx, consumer, id, Timestamp::now()).await?;
            if commit {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            Ok(first)
        };
        assert!(first("one", false).await.unwrap());
        assert!(first("one", true).await.unwrap());
        assert!(!first("one", true).await.unwrap());
        assert!(
            first("another", true).await.unwrap(),
            "each consumer has its own memory"
        );
    }
}
