//! One destination holds up no other, and rests when it asks for it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::config::Service;
use common::database::Database;
use common::dispatch::{DispatchOptions, Outcome, Status, Wait};

use super::fixture::{Fixture, Running, Scripted, accepted};

on_both_databases!(
    a_hanging_destination_does_not_hold_up_another,
    a_thousand_messages_of_one_person_let_those_of_another_through,
    an_unavailable_destination_costs_no_attempt_and_rests,
    a_wish_to_be_called_later_is_kept_for_the_whole_destination,
    a_shorter_rest_does_not_end_a_longer_one,
);

async fn a_hanging_destination_does_not_hold_up_another(fixture: Fixture) {
    let stuck = fixture.add("stuck", 60).await;
    let sender = Scripted::new(|delivery, _| {
        let hangs = delivery.destination == "stuck";
        Box::pin(async move {
            if hangs {
                std::future::pending().await
            } else {
                accepted("x")
            }
        })
    });
    let drain = Duration::ZERO;
    let options = DispatchOptions {
        places: 8,
        places_per_destination: 4,
        drain,
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    // The stuck ones have all the places that they may have before the good ones are there.
    sender.until_sent(4).await;
    let good = fixture.add("good", 30).await;
    fixture.all_reach(&good, Status::Accepted).await;
    let started = sender.sent().iter().filter(|id| stuck.contains(id)).count();
    assert_eq!(started, 4, "the cap of one destination");
    let due = "waypost_delivery_oldest_due_seconds{service=\"email-worker\",channel=\"test\"}";
    assert!(running.metrics.render().contains(due));
    running.stop().await;
}

async fn a_thousand_messages_of_one_person_let_those_of_another_through(fixture: Fixture) {
    // Quoted as an address may be, and as a list of words may not.
    let many = fixture.add_for("\"one, of\\ all\"@example.com", "a", 1_000).await;
    let sender = Scripted::new(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            accepted("x")
        })
    });
    let options = DispatchOptions {
        places: 16,
        places_per_destination: 8,
        places_per_recipient: 2,
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    sender.until_sent(10).await;
    let mut others = vec![];
    for n in 0..5 {
        let before = sender.sent().len();
        let id = fixture.add_for(&format!("other{n}@example.com"), "a", 1).await;
        running.waker.wake();
        fixture.all_reach(&id, Status::Accepted).await;
        let sent = sender.sent();
        let after = sent.iter().position(|one| *one == id[0]).unwrap();
        others.push(after - before);
    }
    println!("sends of the one with a thousand that went before each of another: {others:?}");
    assert!(sender.sent().iter().filter(|id| many.contains(id)).count() < 1_000);
    others.sort_unstable();
    assert!(others[2] <= 16, "{others:?}");
    running.stop().await;
}

async fn an_unavailable_destination_costs_no_attempt_and_rests(fixture: Fixture) {
    let ids = fixture.add("a", 40).await;
    let until = Instant::now() + Duration::from_secs(1);
    let sender = Scripted::new(move |_, _| {
        Box::pin(async move {
            match until.checked_duration_since(Instant::now()) {
                Some(after) => Outcome::Unavailable {
                    after: Wait::Destination(after),
                },
                None => accepted("x"),
            }
        })
    });
    let running = fixture.start(
        &sender,
        DispatchOptions {
            places_per_destination: 4,
            ..fixture.options()
        },
    );
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    for id in ids {
        assert_eq!(fixture.row(id).await.attempts, 1);
    }
    let tries = sender.sent().len();
    assert!(
        tries < 60,
        "{tries} tries for 40 rows: a destination that rests is not asked again and again"
    );
}

async fn a_wish_to_be_called_later_is_kept_for_the_whole_destination(fixture: Fixture) {
    let ids = fixture.add("a", 20).await;
    let began = Instant::now();
    let sender = Scripted::new(move |_, _| {
        let outcome = if began.elapsed() < Duration::from_millis(900) {
            // "At once" is no time to wait: it would be asked again without end.
            Outcome::Retry {
                error: "HTTP 429".into(),
                after: Some(Wait::Destination(Duration::ZERO)),
            }
        } else {
            accepted("x")
        };
        Box::pin(async move { outcome })
    });
    let options = DispatchOptions {
        places_per_destination: 4,
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let tries = sender.sent().len();
    assert!(
        tries <= 28,
        "{tries} tries for 20 rows: the wish was kept for some only"
    );
}

/// SQLite has connections of their own for reading: without them only the measurement fails.
#[tokio::test]
async fn what_can_not_be_measured_is_delivered_all_the_same() {
    let fixture = Fixture::sqlite().await;
    let database = Database::connect(&fixture.settings, Service::EmailWorker)
        .await
        .unwrap();
    database.read().clone().close().await.unwrap();
    let sender = Scripted::accepting();
    let running = Running::start(database, &sender, fixture.options());
    for _ in 0..2 {
        let ids = fixture.add("a", 3).await;
        fixture.all_reach(&ids, Status::Accepted).await;
    }
    running.stop().await;
}

async fn a_shorter_rest_does_not_end_a_longer_one(fixture: Fixture) {
    let ids = fixture.add("a", 4).await;
    let times = Arc::new(Mutex::new(vec![]));
    let tries = Arc::clone(&times);
    let sender = Scripted::new(move |_, number| {
        tries.lock().unwrap().push(Instant::now());
        Box::pin(async move {
            let milliseconds = match number {
                0 => 3000,
                // After the first has said its own.
                1 => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    1
                }
                _ => return accepted("x"),
            };
            Outcome::Unavailable {
                after: Wait::Destination(Duration::from_millis(milliseconds)),
            }
        })
    });
    let options = DispatchOptions {
        places_per_destination: 2,
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let times = times.lock().unwrap().clone();
    assert!(
        times[2] - times[0] >= Duration::from_secs(3),
        "{:?}",
        times[2] - times[0]
    );
}
