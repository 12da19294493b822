//! What the dispatcher keeps when its database does not answer: nothing is sent twice, nothing waits for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::Service;
use common::dispatch::{DispatchOptions, Status};
use common::messaging::Broker;
use common::process::Tasks;
use sea_orm::ConnectionTrait;
use test_support::{Fault, FaultProxy, eventually, postgres_url};
use tokio::sync::Semaphore;

use super::fixture::{DEADLINE, Fixture, Running, Scripted, accepted};
use crate::messaging;

/// Finds something when no lease is left.
const LEASE_IS_OVER: &str = "SELECT 1 AS over WHERE NOT EXISTS (SELECT 1 FROM deliveries \
    WHERE lease_until > extract(epoch FROM statement_timestamp()) * 1000000)";

/// What other work may lose to one answer that is lost.
const SOON: Duration = Duration::from_secs(5);

/// A way to the test's PostgreSQL that can be broken.
async fn proxy() -> FaultProxy {
    FaultProxy::before(&postgres_url()).await
}

/// Slow enough for leases to be renewed.
fn slow() -> Scripted {
    Scripted::new(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            accepted("x")
        })
    })
}

/// A lease long enough for a holder to have its chance: a record that hangs is tried anew after four seconds.
fn leasing(fixture: &Fixture) -> DispatchOptions {
    fixture.leasing(12_000, 1_000)
}

#[tokio::test]
async fn after_an_outage_longer_than_the_lease_what_a_holder_has_sent_stays_its_own() {
    let fixture = Fixture::postgres().await;
    let proxy = proxy().await;
    let ids = fixture.add("a", 12).await;
    let sender = slow();
    let [one, two] = [fixture.by(&proxy).await, fixture.by(&proxy).await]
        .map(|database| Running::start(database, &sender, leasing(&fixture)));
    sender.until_sent(12).await;
    proxy.set(Fault::BlackHole).await;
    eventually(DEADLINE, || async { fixture.finds(LEASE_IS_OVER).await }).await;
    proxy.set(Fault::Pass).await;
    fixture.all_reach(&ids, Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    println!(
        "outage longer than the lease: sent 12, received {}, lost 0, doubled {}",
        sender.sent().len(),
        sender.sent().len() - 12
    );
    assert_eq!((sender.sent().len(), fixture.recorded().await), (12, 12));
}

/// Two dispatchers: one behind a proxy that has sent what `sender` has and can't record it, one that reaches the
/// database. The first one's leases run out meanwhile.
async fn cut_off(fixture: &Fixture, sender: &Scripted, broker: Option<Broker>) -> (FaultProxy, [Running; 2]) {
    let proxy = proxy().await;
    let options = fixture.leasing(3_000, 300);
    let start = |database| {
        let tasks = Tasks::new(Service::EmailWorker);
        Running::beside(broker.clone(), tasks, (database, sender, options.clone()))
    };
    let one = start(fixture.by(&proxy).await);
    sender.until_sent(1).await;
    proxy.set(Fault::BlackHole).await;
    (proxy, [one, start(fixture.database.clone())])
}

/// A sender that waits for the gate, the first time.
fn gated() -> (Scripted, Arc<Semaphore>) {
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
    (sender, gate)
}

#[tokio::test]
async fn a_holder_that_reaches_only_the_broker_keeps_what_it_has_sent() {
    let fixture = Fixture::postgres().await;
    let rabbit = messaging::fixture::Fixture::rabbit().await;
    let ids = fixture.add("a", 1).await;
    let (sender, gate) = gated();
    let (proxy, [one, two]) = cut_off(&fixture, &sender, Some(rabbit.broker.clone())).await;
    gate.add_permits(1);
    // The other one looks each 50 ms, and from the end of the lease nothing but the sign of life holds it off.
    eventually(DEADLINE, || async { fixture.finds(LEASE_IS_OVER).await }).await;
    let others = fixture.add("a", 50).await;
    fixture.all_reach(&others, Status::Accepted).await;
    assert_eq!(sender.sent().iter().filter(|id| **id == ids[0]).count(), 1);
    proxy.set(Fault::Pass).await;
    fixture.all_reach(&ids, Status::Accepted).await;
    tokio::join!(one.stop(), two.stop());
    println!(
        "holder without database: sent 51, received {}, lost 0, doubled {}",
        sender.sent().len(),
        sender.sent().len() - 51
    );
    assert_eq!((sender.sent().len(), fixture.recorded().await), (51, 51));
    assert_eq!(one.maybe_sent("holder_lost") + two.maybe_sent("holder_lost"), 0);
    rabbit.tasks.shut_down(DEADLINE).await.unwrap();
}

/// The window that is left: whoever is cut off from both, while another is not, is taken for dead.
#[tokio::test]
async fn a_holder_cut_off_from_database_and_broker_is_taken_for_dead_and_that_is_counted() {
    let fixture = Fixture::postgres().await;
    let ids = fixture.add("a", 1).await;
    let (sender, gate) = gated();
    let (proxy, [one, two]) = cut_off(&fixture, &sender, None).await;
    gate.add_permits(1);
    fixture.all_reach(&ids, Status::Accepted).await;
    proxy.set(Fault::Pass).await;
    tokio::join!(one.stop(), two.stop());
    println!(
        "holder cut off from both: sent 1, received {}, lost 0, doubled 1 (the stated window)",
        sender.sent().len()
    );
    let row = fixture.row(ids[0]).await;
    assert_eq!((sender.sent().len(), row.attempts, fixture.recorded().await), (2, 2, 1));
    assert_eq!(two.maybe_sent("holder_lost"), 1);
}

/// Each of the dispatcher's statements, and what of it goes over the wire when it is prepared.
const STATEMENTS: [(&str, &str); 5] = [
    ("claim", "WITH due AS"),
    ("renewal", "SET lease_until = CAST"),
    ("give-back", "lease_until <="),
    ("outcome", "SET \"status\" ="),
    ("measurement", "SELECT channel, MIN"),
];

#[tokio::test]
async fn one_lost_answer_holds_up_nothing_for_long_and_doubles_nothing() {
    for (name, statement) in STATEMENTS {
        let fixture = Fixture::postgres().await;
        let proxy = proxy().await;
        let sender = slow();
        proxy.lose_answer_to(statement);
        let options = fixture.leasing(4_000, 200);
        let running = Running::start(fixture.by(&proxy).await, &sender, options);
        let mut ids = fixture.add("a", 20).await;
        eventually(DEADLINE, || async { proxy.has_lost_it() }).await;
        let lost_at = Instant::now();
        ids.extend(fixture.add("b", 20).await);
        fixture.all_reach(&ids, Status::Accepted).await;
        let took = lost_at.elapsed();
        running.stop().await;
        println!(
            "answer to the {name} lost: sent 40, received {}, all after {took:?}",
            sender.sent().len()
        );
        assert!(took < SOON + Duration::from_secs(3), "{name}: {took:?}");
        assert_eq!((sender.sent().len(), fixture.recorded().await), (40, 40), "{name}");
        let tried_again = fixture.rows().await.iter().filter(|row| row.attempts != 1).count();
        assert_eq!(tried_again, 0, "{name} cost an attempt");
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_recorded_once_and_nothing_is_sent_again() {
    let fixture = Fixture::postgres().await;
    let proxy = proxy().await;
    let sender = Scripted::accepting();
    proxy.lose_answer_to("COMMIT");
    let running = fixture.start_by(&proxy, &sender).await;
    let ids = fixture.add("a", 5).await;
    fixture.all_reach(&ids, Status::Accepted).await;
    eventually(DEADLINE, || async { proxy.has_lost_it() && running.delivered() == 5 }).await;
    running.stop().await;
    assert_eq!((sender.sent().len(), fixture.recorded().await), (5, 5));
}

/// As when the database moves to another host under the same address.
#[tokio::test]
async fn open_connections_that_all_fall_silent_hold_up_nothing_for_long() {
    let fixture = Fixture::postgres().await;
    let proxy = proxy().await;
    let sender = Scripted::accepting();
    let database = fixture.by(&proxy).await;
    // All connections that it may have, at rest.
    let busy = (0..8).map(|_| async { database.read().execute_unprepared("SELECT pg_sleep(0.2)").await });
    futures_util::future::join_all(busy).await;
    let running = Running::start(database, &sender, fixture.leasing(20_000, 1_000));
    let before = fixture.add("a", 5).await;
    fixture.all_reach(&before, Status::Accepted).await;
    proxy.silence_open_connections();
    let silent_at = Instant::now();
    let ids = fixture.add("a", 20).await;
    fixture.all_reach(&ids, Status::Accepted).await;
    let took = silent_at.elapsed();
    running.stop().await;
    println!(
        "all open connections silent: sent 25, received {}, all after {took:?}",
        sender.sent().len()
    );
    assert!(took < SOON + Duration::from_secs(3), "{took:?}");
    assert_eq!((sender.sent().len(), fixture.recorded().await), (25, 25));
}

#[tokio::test]
async fn a_stop_while_an_answer_is_lost_ends_in_time() {
    for (name, statement) in STATEMENTS {
        let fixture = Fixture::postgres().await;
        let proxy = proxy().await;
        proxy.lose_answer_to(statement);
        let sender = slow();
        let running = fixture.start_by(&proxy, &sender).await;
        fixture.add("a", 5).await;
        eventually(DEADLINE, || async { proxy.has_lost_it() }).await;
        let asked = Instant::now();
        running.stop().await;
        println!(
            "stopped while the answer to the {name} is lost: after {:?}",
            asked.elapsed()
        );
        assert!(asked.elapsed() < SOON, "{name}: {:?}", asked.elapsed());
    }
}

on_both_databases!(a_column_that_is_added_while_it_works_disturbs_nothing);

async fn a_column_that_is_added_while_it_works_disturbs_nothing(fixture: Fixture) {
    let sender = Scripted::accepting();
    let running = fixture.start(&sender, fixture.options());
    let mut ids = fixture.add("a", 20).await;
    fixture.all_reach(&ids, Status::Accepted).await;
    for column in ["one", "two", "three"] {
        for table in ["deliveries", "inbox", "outbox"] {
            let more = fixture.add("a", 10).await;
            let add = format!("ALTER TABLE {table} ADD COLUMN {column} text");
            fixture.database.unguarded().execute_unprepared(&add).await.unwrap();
            ids.extend(more);
            ids.extend(fixture.add("a", 10).await);
            fixture.all_reach(&ids, Status::Accepted).await;
        }
    }
    running.stop().await;
    assert_eq!((sender.sent().len(), fixture.recorded().await), (ids.len(), ids.len()));
    assert!(fixture.rows().await.iter().all(|row| row.attempts == 1));
}

/// Ends slowly enough that some send ends during each claim: then there is always room for more.
#[tokio::test]
async fn what_others_left_behind_is_taken_over_while_a_backlog_lasts() {
    let fixture = Fixture::postgres().await;
    let left = "INSERT INTO deliveries (id, source_event_id, channel, recipient, destination, status, next_attempt_at, payload,
                    created_at, updated_at, attempts, lease_until)
                VALUES (gen_random_uuid(), gen_random_uuid(), 'test', 'somebody', 'left', 'sending', 0, 'null', 0, 0, 1, 0)";
    fixture.database.unguarded().execute_unprepared(left).await.unwrap();
    let backlog = "INSERT INTO deliveries (id, source_event_id, channel, recipient, destination, status, next_attempt_at, payload,
                    created_at, updated_at)
                SELECT gen_random_uuid(), gen_random_uuid(), 'test', 'somebody', 'd' || (n % 20), 'pending', 0, 'null', 0, 0
                FROM generate_series(1, 5000) n";
    fixture.database.unguarded().execute_unprepared(backlog).await.unwrap();
    let proxy = proxy().await;
    proxy.set(Fault::Delay(Duration::from_millis(5))).await;
    let running = Running::start(
        fixture.by(&proxy).await,
        &Scripted::accepting(),
        fixture.leasing(1_000, 200),
    );
    eventually(DEADLINE, async || running.maybe_sent("holder_lost") == 1).await;
    assert!(
        fixture
            .finds("SELECT 1 FROM deliveries WHERE status = 'pending' AND attempts = 0 LIMIT 1")
            .await,
        "the backlog was over before"
    );
    running.stop().await;
}
