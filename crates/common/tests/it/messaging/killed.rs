//! One of two workers that is killed again and again while ten thousand messages wait for both.
//!
//! A worker is a process of its own, this test binary with the name of one test, which consumes until it is killed.

use std::time::Duration;

use common::config::{Service, Settings};
use common::database::Database;
use common::messaging::{
    Broker, Change, Changes, Consumer, ConsumerOptions, Intake, Message, OutboundMessage, Rejection,
};
use common::process::{State, Tasks};
use common::telemetry::Metrics;
use contracts::topology::EMAIL_WORKER_EVENTS;
use secrecy::ExposeSecret;
use test_support::{AmqpClient, Process, amqp_url, eventually};
use tokio::time::{Instant, sleep};

use super::effects::{Effects, LONG, count, each_has_one_effect, make_table, publish_all};
use super::fixture::{Fixture, Store, outbound, someone};

/// Tells the child what it is to do: `<namespace> <database url>`.
const ORDER: &str = "WAYPOST_TEST_WORKER";
const MESSAGES: usize = 10_000;
const KILLS: usize = 20;
/// Publishes that are under way at a time.
const WINDOW: usize = 250;

/// Leaves a row for each message, several in one change; slowly enough that all kills fall into the work.
struct Sharing;

impl Intake for Sharing {
    const SHARES_A_CHANGE: bool = true;

    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        sleep(Duration::from_millis(1)).await;
        Effects.take(message, change).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_workers_killed_twenty_times_in_ten_thousand_messages_loses_and_doubles_none() {
    let began = Instant::now();
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    make_table(&store).await;
    let messages: Vec<_> = (0..MESSAGES).map(|_| outbound(&someone())).collect();
    let ids: Vec<_> = messages.iter().map(OutboundMessage::id).collect();
    for some in messages.chunks(WINDOW) {
        publish_all(&fixture, some.iter()).await;
    }
    println!("{MESSAGES} messages wait after {:?}", began.elapsed());

    let mut taken = Vec::new();
    let other = worker(&fixture, &store).await;
    for _ in 0..KILLS {
        let mut killed = worker(&fixture, &store).await;
        sleep(Duration::from_millis(rand::random_range(0..300))).await;
        killed.kill();
        taken.push(count(&store).await);
    }
    println!("killed {KILLS} times, when so many were taken in: {taken:?}");
    let moved = taken.windows(2).filter(|two| two[0] < two[1]).count();
    assert!(
        moved > KILLS / 2 && taken[KILLS - 1] < MESSAGES,
        "the kills did not fall into the work: {taken:?}"
    );
    let last = worker(&fixture, &store).await;
    eventually(LONG, async || count(&store).await >= MESSAGES).await;
    // What the killed one had in hand comes again, and is acknowledged without an effect.
    let outsider = AmqpClient::connect(&amqp_url()).await;
    let queue = fixture.name(EMAIL_WORKER_EVENTS.name);
    eventually(LONG, async || outsider.depth(&queue).await == 0).await;
    assert_eq!(outsider.depth(&format!("{queue}.dead")).await, 0, "set aside");
    outsider.close().await;
    each_has_one_effect(&store, &ids).await;
    println!(
        "one of two workers killed {KILLS} times: sent {MESSAGES}, received {}, lost 0, doubled 0; the whole test took {:?}",
        count(&store).await,
        began.elapsed()
    );
    drop((other, last));
    fixture.end().await;
}

/// Starts a worker, and waits until it consumes.
async fn worker(fixture: &Fixture, store: &Store) -> Process {
    let this = std::env::current_exe().unwrap();
    let url = store.settings.database.url.expose_secret();
    let worker = Process::run(this)
        .arg("--exact")
        .arg("messaging::killed::the_worker_that_is_killed")
        .arg("--nocapture")
        .env(ORDER, format!("{} {url}", fixture.namespace()))
        .spawn();
    worker.writes("consumes", LONG).await;
    worker
}

/// Not a test by itself: the process that is killed. Without an order it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_that_is_killed() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the order of the process that started this one"
    )]
    let Ok(order) = std::env::var(ORDER) else { return };
    let (namespace, url) = order.split_once(' ').unwrap();
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.broker.url = amqp_url().as_str().into();
    namespace.clone_into(&mut settings.broker.namespace);
    settings.broker.retry_delays = super::fixture::LADDER.map(Duration::from_millis).to_vec();
    settings.database.url = url.into();
    let (metrics, tasks) = (Metrics::new(Service::EmailWorker), Tasks::new(Service::EmailWorker));
    let broker = Broker::connect(&settings, &tasks, &metrics).unwrap();
    let database = Database::connect(&settings, Service::EmailWorker).await.unwrap();
    let consumer = Consumer {
        queue: EMAIL_WORKER_EVENTS,
        intake: Sharing,
        changes: Changes::new(Service::UserApi, database),
        options: ConsumerOptions::new(&settings),
    };
    broker.consume(consumer, &metrics, &tasks);
    eventually(LONG, async || broker.state() == State::Up).await;
    println!("consumes");
    std::future::pending::<()>().await;
}
