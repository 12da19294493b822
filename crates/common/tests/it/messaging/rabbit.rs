//! Faults of a RabbitMQ of the test's own: each heals by itself, and every effect happens once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Timestamp;
use common::config::Service;
use common::messaging::{Outbox, PublishError, inbox, spawn_relay};
use common::process::State;
use contracts::topology::EMAIL_WORKER_EVENTS;
use test_support::{Fault, FaultProxy, PrivateRabbit, amqp_url, eventually};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::fixture::{Fixture, SOON, Store, outbound, someone};

/// Boots on a busy machine, and what comes after.
const LONG: Duration = Duration::from_mins(2);

/// How often each message had its effect, by the inbox.
#[derive(Clone, Default)]
struct Effects(Arc<Mutex<HashMap<Uuid, u32>>>);

impl Effects {
    fn consume(&self, fixture: &Fixture, store: &Store) {
        let (effects, database) = (self.clone(), store.database.clone());
        fixture.consume_others(EMAIL_WORKER_EVENTS);
        fixture.consume(EMAIL_WORKER_EVENTS, move |message| {
            let (effects, database, id) = (effects.clone(), database.clone(), message.id);
            Box::pin(async move {
                let tx = database.begin().await?;
                let first = inbox::first_time(&tx, "email-worker.events", id, Timestamp::now()).await?;
                tx.commit().await?;
                if first {
                    *effects.0.lock().unwrap().entry(id).or_default() += 1;
                }
                Ok(())
            })
        });
    }

    async fn are_one_each(&self, ids: &[Uuid]) {
        eventually(LONG, async || self.0.lock().unwrap().len() >= ids.len()).await;
        let effects = self.0.lock().unwrap();
        assert!(ids.iter().all(|id| effects.get(id) == Some(&1)));
        assert_eq!(effects.len(), ids.len());
    }
}

fn relay(store: &Store, fixture: &Fixture) -> Outbox {
    let outbox = Outbox::new(Service::EmailWorker);
    let (database, broker) = (store.database.clone(), fixture.broker.clone());
    spawn_relay(database, broker, &outbox, fixture.metrics.clone(), &fixture.tasks);
    outbox
}

async fn write(store: &Store, outbox: &Outbox, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let event = someone();
        store.commit(outbox, std::slice::from_ref(&event)).await;
        ids.push(event.id);
    }
    ids
}

#[tokio::test]
async fn a_broker_that_comes_late_and_is_killed_in_between_loses_and_doubles_nothing() {
    let mut rabbit = PrivateRabbit::prepare();
    let (store, fixture) = (Store::sqlite().await, Fixture::private(&rabbit.url()));
    let effects = Effects::default();
    effects.consume(&fixture, &store);
    let outbox = relay(&store, &fixture);
    let mut ids = write(&store, &outbox, 50).await;
    assert_eq!(fixture.broker.state(), State::Down);
    let refused = fixture.broker.publish(outbound(&someone())).await;
    assert_eq!(refused, Err(PublishError::Unavailable));

    rabbit.start().await;
    effects.are_one_each(&ids).await;

    // A queue younger than a second may lose itself when RabbitMQ 3.10 is killed.
    eventually(SOON, async || declared_queues(&rabbit).await >= 9).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ids.extend(write(&store, &outbox, 100).await);
    rabbit.kill();
    ids.extend(write(&store, &outbox, 50).await);
    rabbit.start().await;
    let back = Instant::now();
    fixture.is_up().await;
    assert!(
        back.elapsed() < Duration::from_secs(5),
        "it took {:?} to come back",
        back.elapsed()
    );

    effects.are_one_each(&ids).await;
    store.outbox_is_empty().await;
    consumers_are_back(&rabbit).await;
    fixture.end().await;
}

#[tokio::test]
async fn cut_connections_a_full_memory_and_a_frozen_broker_pass() {
    let rabbit = PrivateRabbit::start().await;
    let (store, fixture) = (Store::sqlite().await, Fixture::private(&rabbit.url()));
    let effects = Effects::default();
    effects.consume(&fixture, &store);
    let outbox = relay(&store, &fixture);
    fixture.is_up().await;
    let mut ids = write(&store, &outbox, 10).await;
    effects.are_one_each(&ids).await;

    rabbit.control(&["close_all_connections", "on purpose"]).await;
    ids.extend(write(&store, &outbox, 10).await);
    effects.are_one_each(&ids).await;
    consumers_are_back(&rabbit).await;

    rabbit.control(&["set_vm_memory_high_watermark", "0"]).await;
    ids.extend(write(&store, &outbox, 10).await);
    eventually(SOON, async || fixture.broker.state() == State::Degraded).await;
    rabbit.control(&["set_vm_memory_high_watermark", "0.9"]).await;
    effects.are_one_each(&ids).await;

    rabbit.freeze();
    let asked = Instant::now();
    let unknown = fixture.broker.publish(outbound(&someone())).await;
    assert!(
        unknown.is_err() && asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
    ids.extend(write(&store, &outbox, 10).await);
    rabbit.thaw();
    eventually(LONG, async || store.outbox_rows().await == 0).await;
    eventually(LONG, async || {
        ids.iter().all(|id| effects.0.lock().unwrap().get(id) == Some(&1))
    })
    .await;
    consumers_are_back(&rabbit).await;
    fixture.end().await;
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
async fn a_connection_that_falls_silent_is_noticed_and_replaced() {
    let shared = Url::parse(&amqp_url()).unwrap();
    let upstream = format!("{}:{}", shared.host_str().unwrap(), shared.port().unwrap_or(5672));
    for silence in [Fault::BlackHole, Fault::MuteReplies] {
        let proxy = FaultProxy::start(upstream.as_str()).await;
        let mut through = shared.clone();
        through.set_host(Some("127.0.0.1")).unwrap();
        through.set_port(Some(proxy.address().port())).unwrap();
        let (store, fixture) = (Store::sqlite().await, Fixture::shared_through(through.as_str()));
        let effects = Effects::default();
        effects.consume(&fixture, &store);
        let outbox = relay(&store, &fixture);
        let mut ids = write(&store, &outbox, 5).await;
        effects.are_one_each(&ids).await;

        proxy.set(silence).await;
        let silent = Instant::now();
        // Nothing is sent: nobody but the watchdog can notice.
        eventually(LONG, async || fixture.broker.state() == State::Down).await;
        assert!(
            silent.elapsed() < Duration::from_secs(20),
            "{silence:?}: {:?}",
            silent.elapsed()
        );
        ids.extend(write(&store, &outbox, 5).await);

        proxy.set(Fault::Refuse).await;
        proxy.set(Fault::Pass).await;
        effects.are_one_each(&ids).await;
        fixture.end().await;
    }
}
