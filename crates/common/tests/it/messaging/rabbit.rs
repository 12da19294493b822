//! Faults of a RabbitMQ of the test's own: each heals by itself, and every effect happens once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::messaging::PublishError;
use common::process::State;
use contracts::topology::EMAIL_WORKER_EVENTS;
use test_support::{Fault, FaultProxy, PrivateRabbit, amqp_url, eventually};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::effects::{LONG, consume, each_has_one_effect, write};
use super::fixture::{Fixture, SOON, Store, outbound, someone};

#[tokio::test]
async fn a_broker_that_comes_late_and_is_killed_in_between_loses_and_doubles_nothing() {
    let mut rabbit = PrivateRabbit::prepare();
    let (store, fixture) = (Store::sqlite().await, Fixture::private(&rabbit.url()).await);
    consume(&fixture, &store).await;
    let changes = fixture.relay(&store);
    let mut ids = write(&changes, 50).await;
    assert_eq!(fixture.broker.state(), State::Down);
    let refused = fixture.broker.publish(outbound(&someone())).await;
    assert_eq!(refused, Err(PublishError::Unavailable));

    rabbit.start().await;
    each_has_one_effect(&store, &ids).await;

    // A queue younger than a second may lose itself when RabbitMQ 3.10 is killed.
    eventually(SOON, async || declared_queues(&rabbit).await >= 9).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ids.extend(write(&changes, 100).await);
    rabbit.kill();
    ids.extend(write(&changes, 50).await);
    rabbit.start().await;
    let back = Instant::now();
    fixture.is_up().await;
    println!("connected {:?} after the broker was back", back.elapsed());

    each_has_one_effect(&store, &ids).await;
    store.outbox_is_empty().await;
    consumers_are_back(&rabbit).await;
    fixture.end().await;
}

#[tokio::test]
async fn cut_connections_a_full_memory_and_a_frozen_broker_pass() {
    let rabbit = PrivateRabbit::start().await;
    let (store, fixture) = (Store::sqlite().await, Fixture::private(&rabbit.url()).await);
    consume(&fixture, &store).await;
    let changes = fixture.relay(&store);
    fixture.is_up().await;
    let mut ids = write(&changes, 10).await;
    each_has_one_effect(&store, &ids).await;

    rabbit.control(&["close_all_connections", "on purpose"]).await;
    ids.extend(write(&changes, 10).await);
    each_has_one_effect(&store, &ids).await;
    consumers_are_back(&rabbit).await;

    rabbit.control(&["set_vm_memory_high_watermark", "0"]).await;
    ids.extend(write(&changes, 10).await);
    eventually(SOON, async || fixture.broker.state() == State::Degraded).await;
    let reason = fixture.broker.finding().cure.unwrap_or_default();
    assert!(reason.contains("short of memory or disk"), "{reason}");
    assert!(fixture.metrics.render().contains(&blocked(1)));
    rabbit.control(&["set_vm_memory_high_watermark", "0.9"]).await;
    each_has_one_effect(&store, &ids).await;
    eventually(SOON, async || fixture.metrics.render().contains(&blocked(0))).await;

    rabbit.freeze();
    let asked = Instant::now();
    let unknown = fixture.broker.publish(outbound(&someone())).await;
    assert!(
        unknown.is_err() && asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    ids.extend(write(&changes, 10).await);
    rabbit.thaw();
    eventually(LONG, async || store.outbox_rows().await == 0).await;
    each_has_one_effect(&store, &ids).await;
    consumers_are_back(&rabbit).await;
    fixture.end().await;
}

fn blocked(is: u8) -> String {
    format!("waypost_broker_blocked{{service=\"email-worker\"}} {is}\n")
}

async fn declared_queues(rabbit: &PrivateRabbit) -> usize {
    rabbit
        .control(&["list_queues", "name"])
        .await
        .lines()
        .filter(|line| line.contains('.'))
        .count()
}

/// As the broker sees it: a consumer that is gone would be missed by nobody else.
async fn consumers_are_back(rabbit: &PrivateRabbit) {
    eventually(LONG, async || {
        let queues = rabbit.control(&["list_queues", "name", "consumers"]).await;
        let work: Vec<_> = queues.lines().filter(|line| line.contains(".events\t")).collect();
        work.len() == 2 && work.iter().all(|line| line.ends_with("\t1"))
    })
    .await;
}

#[tokio::test]
async fn what_is_in_hand_when_the_connection_is_lost_is_finished() {
    let (proxy, through) = broker_proxy().await;
    let fixture = Fixture::shared_through(&through).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let (gate, finished) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opens, counts) = (gate.clone(), finished.clone());
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |_| {
        let (opens, counts) = (opens.clone(), counts.clone());
        Box::pin(async move {
            opens.acquire().await.unwrap().forget();
            counts.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    });
    fixture.is_up().await;
    fixture.broker.publish(outbound(&someone())).await.unwrap();
    seen.reaches(1).await;

    proxy.set(Fault::Refuse).await;
    eventually(SOON, async || fixture.broker.state() == State::Down).await;
    gate.add_permits(1);
    eventually(SOON, async || finished.load(Ordering::SeqCst) == 1).await;

    // It could not be acknowledged, so it comes again; the inbox keeps it from being taken in a second time.
    proxy.set(Fault::Pass).await;
    gate.add_permits(1);
    let acked = "queue=\"email-worker.events\",outcome=\"ack\"} 2";
    eventually(SOON, async || fixture.metrics.render().contains(acked)).await;
    assert_eq!(finished.load(Ordering::SeqCst), 1);
    fixture.end().await;
}

#[tokio::test]
async fn what_is_in_hand_at_the_end_is_finished_while_the_broker_is_silent() {
    let (proxy, through) = broker_proxy().await;
    let fixture = Fixture::shared_through(&through).await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let (gate, finished) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (opens, tells) = (gate.clone(), finished.clone());
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |_| {
        let (opens, tells) = (opens.clone(), tells.clone());
        Box::pin(async move {
            opens.acquire().await.unwrap().forget();
            tells.notify_one();
            Ok(())
        })
    });
    fixture.is_up().await;
    fixture.broker.publish(outbound(&someone())).await.unwrap();
    seen.reaches(1).await;

    proxy.set(Fault::BlackHole).await;
    let asked = Instant::now();
    fixture.tasks.stopping().cancel();
    gate.add_permits(1);
    finished.notified().await;
    // The consumer waits 5 s for the broker to let it go.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    fixture.end().await;
}

/// A proxy before the shared broker, and the URL that leads through it.
pub(crate) async fn broker_proxy() -> (FaultProxy, String) {
    let proxy = FaultProxy::before(&amqp_url()).await;
    let through = proxy.url(&amqp_url());
    (proxy, through)
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_noticed_and_replaced() {
    for silence in [Fault::BlackHole, Fault::MuteReplies] {
        let (proxy, through) = broker_proxy().await;
        let (store, fixture) = (Store::sqlite().await, Fixture::shared_through(&through).await);
        consume(&fixture, &store).await;
        let changes = fixture.relay(&store);
        let mut ids = write(&changes, 5).await;
        each_has_one_effect(&store, &ids).await;

        proxy.set(silence).await;
        let silent = Instant::now();
        // Nothing is sent: nobody but the watchdog can notice.
        eventually(LONG, async || fixture.broker.state() == State::Down).await;
        assert!(
            silent.elapsed() < Duration::from_secs(40),
            "{silence:?}: {:?}",
            silent.elapsed()
        );
        ids.extend(write(&changes, 5).await);

        proxy.set(Fault::Refuse).await;
        proxy.set(Fault::Pass).await;
        each_has_one_effect(&store, &ids).await;
        fixture.end().await;
    }
}
