//! Who sends holds a lease, and nobody else sends meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::Service;
use common::database::Database;
use common::dispatch::{DispatchOptions, Status};
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use test_support::eventually;
use tokio::sync::{Notify, Semaphore};

use super::fixture::{DEADLINE, Fixture, Running, Scripted, accepted};

on_both_databases!(
    two_dispatchers_never_send_the_same_row_twice,
    a_lease_that_runs_out_is_claimed_again_and_the_late_result_is_refused,
    a_slow_send_keeps_its_lease,
    an_outcome_that_is_recorded_late_keeps_its_lease,
    what_this_dispatcher_has_in_hand_it_does_not_claim_again,
    what_another_gave_back_is_not_claimed_while_it_is_in_hand,
    a_lease_that_is_not_renewed_is_given_up_when_it_ends,
    a_dispatcher_that_is_killed_leaves_nothing_for_ever,
    a_stop_hands_back_what_does_not_finish,
    a_stop_waits_for_what_has_begun_and_then_calls_it_unknown,
);

async fn two_dispatchers_never_send_the_same_row_twice(fixture: Fixture) {
    let ids = fixture.add("a", 100).await;
    let more = fixture.add("b", 100).await;
    let sender = Scripted::accepting();
    let (one, two) = (
        fixture.start(&sender, fixture.options()),
        fixture.start(&sender, fixture.options()),
    );
    fixture.all_reach(&[ids, more].concat(), Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    let sent = sender.sent();
    assert_eq!(sent.len(), 200);
    assert_eq!(sent.iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(fixture.recorded().await, 200);
}

/// Rows by the thousand come by one statement: that is not what is looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_dispatchers_send_ten_thousand_rows_once_each() {
    let fixture = Fixture::postgres().await;
    let rows = "INSERT INTO deliveries (id, source_event_id, channel, recipient, destination, status, next_attempt_at, payload,
                    created_at, updated_at)
                SELECT gen_random_uuid(), gen_random_uuid(), 'test', 'somebody', 'd' || (n % 20), 'pending', 0, 'null', 0, 0
                FROM generate_series(1, 10000) n";
    fixture.database.unguarded().execute_unprepared(rows).await.unwrap();
    let sender = Scripted::accepting();
    // Each has a way to the database of its own, as processes have.
    let running = join_all((0..4).map(|_| async {
        let database = Database::connect(&fixture.settings, Service::EmailWorker)
            .await
            .unwrap();
        Running::start(database, &sender, fixture.options())
    }))
    .await;
    let began = Instant::now();
    eventually(DEADLINE * 6, async || {
        !fixture
            .finds("SELECT 1 FROM deliveries WHERE status <> 'accepted' LIMIT 1")
            .await
    })
    .await;
    join_all(running.iter().map(Running::stop)).await;
    let sent = sender.sent();
    let different = sent.iter().collect::<HashSet<_>>().len();
    println!(
        "10000 rows: sent {}, different {different}, in {:?}",
        sent.len(),
        began.elapsed()
    );
    assert_eq!((sent.len(), different), (10_000, 10_000));
    assert_eq!(fixture.recorded().await, 10_000);
}

async fn a_lease_that_runs_out_is_claimed_again_and_the_late_result_is_refused(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    let waits = gates.clone();
    let sender = Scripted::new(move |_, number| {
        let gate = Arc::clone(&waits[number]);
        Box::pin(async move {
            let _ = gate.acquire().await;
            accepted(["late", "in time"][number])
        })
    });
    // The first holder believes in its lease and claims nothing more; the row says that the lease is over.
    let first = fixture.start(&sender, fixture.options());
    sender.until_sent(1).await;
    first.tasks.stopping().cancel();
    fixture.end_leases().await;
    // It waits half a lease before it takes anything that was left behind.
    let second = fixture.start(&sender, fixture.leasing(2000, 500));
    sender.until_sent(2).await;
    // The late result comes while the second holder is at work: the status alone would let it in.
    gates[0].add_permits(1);
    first.stop().await;
    let row = fixture.row(ids[0]).await;
    assert_eq!(
        (row.status, row.lease_number, fixture.recorded().await),
        (Status::Sending, 2, 0)
    );
    gates[1].add_permits(1);
    fixture.all_reach(&ids, Status::Accepted).await;
    second.stop().await;
    let row = fixture.row(ids[0]).await;
    assert_eq!(row.provider_message_id.as_deref(), Some("in time"));
    assert_eq!((row.attempts, fixture.recorded().await), (2, 1));
}

async fn a_slow_send_keeps_its_lease(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::new(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            accepted("x")
        })
    });
    let options = fixture.leasing(600, 100);
    let (one, two) = (fixture.start(&sender, options.clone()), fixture.start(&sender, options));
    fixture.all_reach(&ids, Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    assert_eq!(sender.sent().len(), 1);
}

async fn an_outcome_that_is_recorded_late_keeps_its_lease(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::accepting();
    // Two seconds at least: as often as the lease would have run out.
    *sender.refuse_records.lock().unwrap() = 4;
    let options = fixture.leasing(600, 100);
    let (one, two) = (fixture.start(&sender, options.clone()), fixture.start(&sender, options));
    fixture.all_reach(&ids, Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    assert_eq!((sender.sent().len(), fixture.recorded().await), (1, 1));
    assert_eq!(fixture.row(ids[0]).await.lease_number, 1);
}

/// As after a while without the database: the lease has run out, and the outcome waits to be recorded.
async fn what_this_dispatcher_has_in_hand_it_does_not_claim_again(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::accepting();
    *sender.refuse_records.lock().unwrap() = 3;
    let options = DispatchOptions {
        lease: Duration::from_millis(200),
        renew: DEADLINE,
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!((sender.sent().len(), fixture.recorded().await), (1, 1));
}

async fn what_another_gave_back_is_not_claimed_while_it_is_in_hand(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let gate = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&gate);
    let sender = Scripted::new(move |_, number| {
        let gate = Arc::clone(&waits);
        Box::pin(async move {
            if number == 0 {
                let _ = gate.acquire().await;
            }
            accepted("x")
        })
    });
    let running = fixture.start(&sender, fixture.options());
    sender.until_sent(1).await;
    fixture.give_leases_back().await;
    // A claim that takes this one could have taken the other.
    let next = fixture.add("a", 1).await;
    fixture.all_reach(&next, Status::Accepted).await;
    assert_eq!(sender.sent(), [&ids[..], &next].concat());
    // Nobody has taken it: its result still counts.
    gate.add_permits(1);
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!((sender.sent().len(), fixture.row(ids[0]).await.lease_number), (2, 1));
}

async fn a_lease_that_is_not_renewed_is_given_up_when_it_ends(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let broken_off = Arc::new(Notify::new());
    let told = Arc::clone(&broken_off);
    let sender = Scripted::new(move |_, number| {
        let told = Arc::clone(&told);
        Box::pin(async move {
            if number == 0 {
                let _tells = TellsWhenDropped(told);
                std::future::pending::<()>().await;
            }
            accepted("x")
        })
    })
    .beginning(|number| number > 0);
    let options = DispatchOptions {
        lease: Duration::from_millis(500),
        renew: 2 * DEADLINE,
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    tokio::time::timeout(DEADLINE, broken_off.notified()).await.unwrap();
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
}

/// Held by a send.
struct TellsWhenDropped(Arc<Notify>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

async fn a_dispatcher_that_is_killed_leaves_nothing_for_ever(fixture: Fixture) {
    let ids = fixture.add("a", 10).await;
    let options = fixture.leasing(500, 100);
    let hanging = Scripted::new(|_, _| Box::pin(std::future::pending()));
    let killed = fixture.start(&hanging, options.clone());
    hanging.until_sent(10).await;
    assert!(
        killed.tasks.shut_down(Duration::ZERO).await.is_err(),
        "cut off in the middle"
    );
    let sender = Scripted::accepting();
    let running = fixture.start(&sender, options);
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    assert_eq!(sender.sent().len(), 10);
}

async fn a_stop_hands_back_what_does_not_finish(fixture: Fixture) {
    let ids = fixture.add("a", 2).await;
    let sender = Scripted::new(|_, number| {
        Box::pin(async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            accepted("finished")
        })
    })
    .beginning(|number| number > 0);
    let running = fixture.start(
        &sender,
        DispatchOptions {
            drain: Duration::from_secs(1),
            ..fixture.options()
        },
    );
    sender.until_sent(2).await;
    running.stop().await;
    let rows = [fixture.row(ids[0]).await, fixture.row(ids[1]).await];
    let state = |status| rows.iter().find(|row| row.status == status).unwrap();
    assert_eq!(
        (state(Status::Pending).attempts, state(Status::Pending).lease_until),
        (0, None)
    );
    assert_eq!(state(Status::Accepted).attempts, 1);
}

async fn a_stop_waits_for_what_has_begun_and_then_calls_it_unknown(fixture: Fixture) {
    let ids = fixture.add("a", 1).await;
    let sender = Scripted::new(|_, _| Box::pin(std::future::pending()));
    let options = DispatchOptions {
        drain: Duration::from_millis(300),
        retry_delays: vec![Duration::from_hours(1)],
        ..fixture.options()
    };
    let running = fixture.start(&sender, options);
    sender.until_sent(1).await;
    let before = common::Timestamp::now();
    running.stop().await;
    let row = fixture.row(ids[0]).await;
    assert_eq!((row.status, row.attempts, row.lease_until), (Status::Pending, 1, None));
    assert!(row.next_attempt_at > before + Duration::from_mins(59));
    assert_eq!(row.last_error.as_deref(), Some("the process ended before the answer"));
    assert_eq!(running.maybe_sent("no_answer"), 1);
}
