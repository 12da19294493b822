//! What an operator holds is not claimed; what one lets through goes to a destination that rests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::Timestamp;
use common::dispatch::{Filter, Outcome, Status, Wait, holds, orders};

use super::fixture::{Fixture, Scripted, accepted};

on_both_databases!(
    a_hold_is_of_the_destination_and_its_parts_and_of_no_other,
    one_that_is_let_through_goes_to_a_destination_that_rests_and_the_others_wait,
    of_many_that_are_let_through_one_is_the_probe,
);

fn hold(destination: &str, until: Timestamp) -> holds::Model {
    holds::Model {
        destination: destination.into(),
        until,
        reason: "why".into(),
        who: "ada".into(),
        since: Timestamp::now(),
    }
}

async fn a_hold_is_of_the_destination_and_its_parts_and_of_no_other(fixture: Fixture) {
    let (connection, now) = (fixture.database.unguarded(), Timestamp::now());
    for destination in ["mail", "webhook.0190a5b2-1111"] {
        holds::put(connection, hold(destination, now + Duration::from_hours(1)))
            .await
            .unwrap();
    }
    holds::put(connection, hold("sms", now - Duration::from_secs(1)))
        .await
        .unwrap();
    let mut held = Vec::new();
    for destination in ["mail", "mail-7", "mail.backup", "webhook.0190a5b2-1111"] {
        held.extend(fixture.add(destination, 1).await);
    }
    let mut free = Vec::new();
    for destination in ["sms", "mailing", "email", "webhook.0190a5b2-2222", "webhook"] {
        free.extend(fixture.add(destination, 1).await);
    }
    let sender = Scripted::accepting();
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&free, Status::Accepted).await;
    for id in &held {
        let row = fixture.row(*id).await;
        assert_eq!((row.status, row.attempts), (Status::Pending, 0), "{}", row.destination);
    }
    assert!(holds::end(connection, "mail", Timestamp::now()).await.unwrap());
    fixture.all_reach(&held[..3], Status::Accepted).await;
    running.stop().await;
    let filter = Filter {
        destination: Some("mail".into()),
        ..Filter::default()
    };
    let found = common::dispatch::find(connection, &filter, (None, 100), Timestamp::now())
        .await
        .unwrap();
    let mut found: Vec<_> = found.deliveries.into_iter().map(|row| row.destination).collect();
    found.sort_unstable();
    assert_eq!(found, ["mail", "mail-7", "mail.backup"]);
}

/// A sender whose destination is not available for an hour, until it is; and that switch.
fn resting() -> (Scripted, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let sender = Scripted::new(move |_, _| {
        let outcome = if well.load(Ordering::Relaxed) {
            accepted("x")
        } else {
            Outcome::Unavailable {
                after: Wait::Destination(Duration::from_hours(1)),
            }
        };
        Box::pin(async move { outcome })
    });
    (sender, is_well)
}

async fn one_that_is_let_through_goes_to_a_destination_that_rests_and_the_others_wait(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let (sender, is_well) = resting();
    let running = fixture.start(&sender, fixture.options());
    fixture.until(|rows| rows[0].last_error.is_some()).await;
    let others = fixture.add("a", 3).await;
    is_well.store(true, Ordering::Relaxed);
    let connection = fixture.database.unguarded();
    assert!(orders::let_through(connection, ids[0], Timestamp::now()).await.unwrap());
    fixture.all_reach(&ids, Status::Accepted).await;
    let row = fixture.row(ids[0]).await;
    assert_eq!((row.attempts, row.retry_now), (1, false));
    for id in &others {
        assert_eq!(fixture.row(*id).await.status, Status::Pending, "the destination rests");
    }
    assert!(
        !orders::let_through(connection, ids[0], Timestamp::now()).await.unwrap(),
        "it has ended"
    );
    assert!(!orders::cancel(connection, ids[0], Timestamp::now()).await.unwrap());
    assert!(orders::cancel(connection, others[0], Timestamp::now()).await.unwrap());
    running.stop().await;
}

async fn of_many_that_are_let_through_one_is_the_probe(fixture: Fixture) {
    let first = fixture.add("a", 3).await;
    fixture.add("b", 2).await;
    let connection = fixture.database.unguarded();
    let filter = Filter {
        destination: Some("a".into()),
        ..Filter::default()
    };
    let now = Timestamp::now();
    let counted = orders::count_waiting(connection, &filter, now).await.unwrap();
    let affected = orders::let_all_through(connection, &filter, now).await.unwrap();
    assert_eq!((counted, affected.deliveries, affected.has_more), (affected, 3, false));
    let rows = fixture.rows().await;
    let probes: Vec<_> = rows.iter().filter(|row| row.retry_now).map(|row| row.id).collect();
    assert!(probes.len() == 1 && first.contains(&probes[0]), "{probes:?}");
}
