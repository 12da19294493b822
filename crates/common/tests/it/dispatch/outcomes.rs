//! How a try ended is how the row stands, written once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::Timestamp;
use common::dispatch::{NewDelivery, Outcome, Reason, Settled, Status, enqueue, insert_settled};
use uuid::Uuid;

use super::fixture::{Fixture, REFUSED, Scripted, accepted};

on_both_databases!(
    final_states_are_final,
    a_retry_comes_when_the_schedule_says,
    what_has_expired_is_not_sent,
    an_outcome_that_cannot_be_recorded_is_recorded_later_and_not_sent_again,
    an_answer_with_a_nul_in_it_is_recorded_and_not_sent_again,
    what_no_database_takes_is_recorded_without_it,
    a_sender_that_panics_is_tried_again,
);

async fn final_states_are_final(fixture: Fixture) {
    let mut before = vec![];
    for status in [
        Status::Accepted,
        Status::Delivered,
        Status::Failed,
        Status::Suppressed,
        Status::Expired,
    ] {
        let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
        let settled = Settled {
            status,
            reason: Reason::Rejected,
            provider_message_id: None,
        };
        let id = insert_settled(fixture.database.unguarded(), new, settled, Timestamp::now())
            .await
            .unwrap()
            .unwrap();
        before.push(fixture.row(id).await);
    }
    let live = fixture.add("a", 1).await;
    let sender = Scripted::accepting();
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&live, Status::Accepted).await;
    running.stop().await;
    assert_eq!(sender.sent(), live);
    for row in before {
        assert_eq!(fixture.row(row.id).await, row);
    }
}

async fn a_retry_comes_when_the_schedule_says(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let times = Arc::new(Mutex::new(vec![]));
    let tries = Arc::clone(&times);
    let sender = Scripted::new(move |_, number| {
        tries.lock().unwrap().push(Instant::now());
        Box::pin(async move {
            match number {
                0 | 1 => Outcome::Retry {
                    error: "not now".into(),
                    after: None,
                },
                _ => accepted("x"),
            }
        })
    });
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let times = times.lock().unwrap().clone();
    assert!(times[1] - times[0] >= Duration::from_millis(100));
    assert!(times[2] - times[1] >= Duration::from_millis(300));
    let row = fixture.row(ids[0]).await;
    assert_eq!(
        (row.attempts, row.reason, row.last_error),
        (3, Some(Reason::Accepted), None)
    );
}

async fn what_has_expired_is_not_sent(fixture: Fixture) {
    let mut new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
    new.expires_at = Some(Timestamp::now());
    let id = enqueue(fixture.database.unguarded(), new, Timestamp::now())
        .await
        .unwrap()
        .unwrap();
    let sender = Scripted::accepting();
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&[id], Status::Expired).await;
    running.stop().await;
    assert!(sender.sent().is_empty());
    assert_eq!(fixture.row(id).await.reason, Some(Reason::Expired));
}

async fn an_outcome_that_cannot_be_recorded_is_recorded_later_and_not_sent_again(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::accepting();
    *sender.refuse_records.lock().unwrap() = 2;
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!((sender.sent().len(), fixture.recorded().await), (1, 1));
}

async fn an_answer_with_a_nul_in_it_is_recorded_and_not_sent_again(fixture: Fixture) {
    let ids = fixture.add("a", 2).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            if number == 0 {
                return accepted("S\0M1");
            }
            Outcome::Failed {
                reason: Reason::Rejected,
                error: "no\0t you".into(),
            }
        })
    });
    let running = fixture.start(&sender, fixture.options());
    fixture
        .until(|rows| {
            rows.iter()
                .all(|row| row.status != Status::Pending && row.status != Status::Sending)
        })
        .await;
    running.stop().await;
    let rows = [fixture.row(ids[0]).await, fixture.row(ids[1]).await];
    assert!(rows.iter().any(|row| row.provider_message_id.as_deref() == Some("SM1")));
    assert!(rows.iter().any(|row| row.last_error.as_deref() == Some("not you")));
    assert_eq!((sender.sent().len(), fixture.recorded().await), (2, 2));
}

/// SQLite takes any text.
#[tokio::test]
async fn a_text_that_postgres_refuses_is_left_out_and_the_outcome_stays() {
    let fixture = Fixture::postgres().await;
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::new(|_, _| Box::pin(async { accepted(REFUSED) }));
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!(fixture.row(ids[0]).await.provider_message_id, None);
    assert_eq!((sender.sent().len(), fixture.recorded().await), (1, 1));
}

async fn a_sender_that_panics_is_tried_again(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            assert!(number > 0, "on purpose");
            accepted("x")
        })
    });
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!(fixture.row(ids[0]).await.attempts, 2);
}

async fn what_no_database_takes_is_recorded_without_it(fixture: Fixture) {
    let ids = fixture.add("a", 2).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            match number {
                0 => accepted(&format!("SM\0{}", "1".repeat(100_000))),
                _ => Outcome::Failed {
                    reason: Reason::Rejected,
                    error: "no\0\r\n".repeat(100_000),
                },
            }
        })
    });
    let running = fixture.start(&sender, fixture.options());
    fixture
        .until(|rows| {
            rows.iter()
                .all(|row| [Status::Accepted, Status::Failed].contains(&row.status))
        })
        .await;
    running.stop().await;
    assert_eq!(sender.sent().len(), 2);
    let rows = [fixture.row(ids[0]).await, fixture.row(ids[1]).await];
    let id = rows.iter().find_map(|row| row.provider_message_id.clone()).unwrap();
    assert!(id.starts_with("SM11") && id.len() == 200, "{id}");
    let error = rows.iter().find_map(|row| row.last_error.clone()).unwrap();
    assert!(error.starts_with("nono") && error.len() == 500, "{error}");
}
