//! One answer of the broker that is lost on the way, its connection left open, as by a host that is gone.
//!
//! The service knows two addresses of the broker; the test silences the one that it is connected to.

use std::sync::Arc;
use std::time::Duration;

use common::messaging::{Changes, PublishError};
use contracts::topology::{EMAIL_WORKER_EVENTS, QUEUES};
use test_support::{Fault, FaultProxy, amqp_url, eventually};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;

use super::fixture::{Fixture, SOON, Seen, Store, commit, done, outbound, someone};

/// Within this other work goes on, on a machine that does nothing else.
const GOES_ON: Duration = Duration::from_secs(5);
/// The same on one that builds beside.
const BUSY: Duration = Duration::from_secs(4);
/// A broker that hears nothing of a connection's end gives it up by its heartbeat.
const UNHEARD: Duration = Duration::from_secs(10);

/// A broker that is reached over two ways.
struct TwoWays {
    first: FaultProxy,
    _second: FaultProxy,
    store: Store,
    fixture: Fixture,
}

impl TwoWays {
    async fn new() -> Self {
        let shared = amqp_url();
        let (first, second) = (FaultProxy::before(&shared).await, FaultProxy::before(&shared).await);
        let urls = [&first, &second].map(|proxy| proxy.url(&shared));
        // Which of two a service tries first is left to chance.
        second.set(Fault::Refuse).await;
        let fixture = Fixture::shared_through(&urls.join(",")).await;
        fixture.is_up().await;
        second.set(Fault::Pass).await;
        Self {
            first,
            _second: second,
            store: Store::sqlite().await,
            fixture,
        }
    }
}

async fn write(changes: &Changes, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let event = someone();
        commit(changes, std::slice::from_ref(&event)).await;
        ids.push(event.id);
    }
    ids
}

/// How often each was taken in: the inbox lets a message through once.
async fn each_once(seen: &Seen, ids: &[Uuid]) {
    eventually(SOON, async || ids.iter().all(|id| seen.ids().contains(id))).await;
    let received = seen.ids();
    let doubled = ids
        .iter()
        .filter(|id| received.iter().filter(|seen| seen == id).count() > 1)
        .count();
    println!("sent {}, received {}, lost 0, doubled {doubled}", ids.len(), ids.len());
    assert_eq!(doubled, 0);
}

#[tokio::test]
async fn a_confirmation_that_never_comes_costs_its_connection_and_other_work_goes_on() {
    for silence in [Fault::MuteReplies, Fault::BlackHole] {
        let ways = TwoWays::new().await;
        let fixture = &ways.fixture;
        fixture.consume_others(EMAIL_WORKER_EVENTS);
        let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
        let changes = fixture.relay(&ways.store);
        let mut ids = write(&changes, 20).await;
        seen.reaches(ids.len()).await;

        ways.first.set(silence).await;
        let silent = Instant::now();
        let open = fixture.broker.publish(outbound(&someone())).await;
        assert_eq!(open, Err(PublishError::Unknown), "{silence:?}");
        ids.extend(write(&changes, 20).await);
        eventually(SOON, async || {
            fixture.broker.publish(outbound(&someone())).await.is_ok()
        })
        .await;
        let publishes = silent.elapsed();
        eventually(SOON, async || ids.iter().all(|id| seen.ids().contains(id))).await;
        let consumes = silent.elapsed();
        println!("{silence:?}: published again after {publishes:?}, everything consumed after {consumes:?}");
        let unheard = if silence == Fault::BlackHole {
            UNHEARD
        } else {
            Duration::ZERO
        };
        assert!(publishes < GOES_ON + BUSY && consumes < GOES_ON + BUSY + unheard);
        each_once(&seen, &ids).await;
        ways.fixture.end().await;
    }
}

#[tokio::test]
async fn an_acknowledgement_that_goes_nowhere_costs_its_connection_and_nothing_is_taken_in_twice() {
    let ways = TwoWays::new().await;
    let fixture = &ways.fixture;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let gate = Arc::new(Semaphore::new(0));
    let opens = gate.clone();
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, move |_| {
        let opens = opens.clone();
        Box::pin(async move {
            opens.acquire().await.unwrap().forget();
            Ok(())
        })
    });
    let event = outbound(&someone());
    fixture.broker.publish(event.clone()).await.unwrap();
    seen.reaches(1).await;

    ways.first.set(Fault::BlackHole).await;
    let silent = Instant::now();
    gate.add_permits(1_000);
    let changes = fixture.relay(&ways.store);
    let ids = write(&changes, 20).await;
    eventually(SOON, async || ids.iter().all(|id| seen.ids().contains(id))).await;
    println!("other messages were consumed after {:?}", silent.elapsed());
    assert!(silent.elapsed() < GOES_ON + BUSY + UNHEARD);

    // The broker hears of the end of the first connection when the way is open again, and hands the message out anew.
    ways.first.set(Fault::Refuse).await;
    let acked = format!("queue=\"{}\",outcome=\"ack\"}} 22", EMAIL_WORKER_EVENTS.name);
    eventually(SOON, async || fixture.metrics.render().contains(&acked)).await;
    each_once(&seen, &[ids, vec![event.id()]].concat()).await;
    ways.fixture.end().await;
}

#[tokio::test]
async fn a_service_that_is_to_stop_ends_within_5_s_while_the_broker_answers_nothing() {
    for silence in [Fault::MuteReplies, Fault::BlackHole] {
        let ways = TwoWays::new().await;
        let fixture = &ways.fixture;
        for queue in QUEUES {
            fixture.consume(*queue, |_| done());
        }
        let changes = fixture.relay(&ways.store);
        let before = write(&changes, 5).await;
        ways.store.outbox_is_empty().await;

        ways.first.set(silence).await;
        let held = write(&changes, 5).await;
        let asked = Instant::now();
        let ended = fixture.tasks.shut_down(GOES_ON).await;
        println!(
            "{silence:?}: ended after {:?}, {} events of {} still to be published",
            asked.elapsed(),
            ways.store.outbox_rows().await,
            before.len() + held.len()
        );
        assert!(ended.is_ok(), "{silence:?}: {ended:?}");
        assert_eq!(
            ways.store.outbox_rows().await,
            held.len() as u64,
            "what was not confirmed is kept"
        );
    }
}
