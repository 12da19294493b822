//! Ten thousand messages: what a few show by luck, these show.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::messaging::{Change, Changes, Consumer, Intake, Message, OutboundMessage, Rejection};
use contracts::Event;
use contracts::events::UserRegistered;
use contracts::topology::EMAIL_WORKER_EVENTS;
use rand::seq::SliceRandom;
use test_support::{AmqpClient, Fault, FaultProxy, PrivateRabbit, amqp_url, eventually};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::effects::{Effects, LONG, count, effects, make_table, publish_all};
use super::fixture::{Fixture, SOON, Store, commit, outbound, someone};

const MESSAGES: usize = 10_000;
/// One in a hundred can't be read, and one in a hundred has its handler panic.
const BAD: usize = MESSAGES / 100;
/// Publishes that are under way at a time.
const WINDOW: usize = 250;

/// Leaves a row for each message that it can read, several in one change.
#[derive(Clone, Default)]
struct Leaves {
    panics: Arc<HashSet<Uuid>>,
}

impl Intake for Leaves {
    const SHARES_A_CHANGE: bool = true;

    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        message.decode::<UserRegistered>()?;
        Effects.take(message, change).await?;
        assert!(!self.panics.contains(&message.id), "on purpose");
        Ok(())
    }
}

fn consume(fixture: &Fixture, store: &Store, intake: Leaves) {
    let consumer = Consumer {
        queue: EMAIL_WORKER_EVENTS,
        intake,
        changes: store.changes(),
        options: fixture.options(),
    };
    fixture.broker.consume(consumer, &fixture.metrics, &fixture.tasks);
}

/// Prints what came of the messages that are to have an effect, and fails when one had none, or two.
async fn each_once(store: &Store, what: &str, ids: &[Uuid]) {
    let effects = effects(store).await;
    let lost = ids.iter().filter(|id| !effects.contains_key(*id)).count();
    let doubled = effects.values().filter(|times| **times > 1).count();
    println!(
        "{what}: sent {}, received {}, lost {lost}, doubled {doubled}",
        ids.len(),
        effects.len()
    );
    assert_eq!((effects.len(), lost, doubled), (ids.len(), 0, 0), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_twice_each_in_no_order_have_one_effect_and_the_bad_ones_none() {
    let began = Instant::now();
    let (fixture, store) = (Fixture::rabbit().await, Store::postgres().await);
    make_table(&store).await;
    let mut messages: Vec<_> = (0..MESSAGES).map(|_| outbound(&someone())).collect();
    for message in &mut messages[..BAD] {
        *message = unreadable(message);
    }
    let panics: HashSet<_> = messages[BAD..2 * BAD].iter().map(OutboundMessage::id).collect();
    let good: Vec<_> = messages[2 * BAD..].iter().map(OutboundMessage::id).collect();
    let intake = Leaves { panics: panics.into() };
    for _ in 0..2 {
        consume(&fixture, &store, intake.clone());
    }

    messages.shuffle(&mut rand::rng());
    // Both copies of a message are under way at once, and two consumers take them.
    let mut again = 0;
    for some in messages.chunks(WINDOW / 2) {
        again += publish_all(&fixture, some.iter().chain(some)).await;
    }
    println!("published after {:?}, {again} of them once more", began.elapsed());

    eventually(LONG, async || count(&store).await >= good.len()).await;
    // Each copy of a bad one is set aside by itself, after one attempt or all of them.
    let outsider = AmqpClient::connect(&amqp_url()).await;
    let (queue, letters) = (fixture.name(EMAIL_WORKER_EVENTS.name), 4 * BAD);
    let dead = format!("{queue}.dead");
    let depth = async |queue: &str| usize::try_from(outsider.depth(queue).await).unwrap();
    eventually(LONG, async || depth(&dead).await >= letters).await;
    // The second copy of a good one may come behind all of that, and in hand it is in no queue's depth.
    eventually(LONG, async || depth(&queue).await == 0).await;
    let _ = fixture.tasks.shut_down(SOON).await;
    assert_eq!(depth(&queue).await, 0, "given back");
    let letters = depth(&dead).await - letters;
    assert!(
        letters <= again,
        "{letters} more are set aside, published once more {again}"
    );
    outsider.close().await;
    each_once(&store, "10,000 messages twice each, 1% unreadable, 1% panicking", &good).await;
    println!(
        "{} dead letters; the whole test took {:?}",
        4 * BAD + letters,
        began.elapsed()
    );
    fixture.end().await;
}

fn unreadable(message: &OutboundMessage) -> OutboundMessage {
    let (kind, headers) = (message.kind().to_owned(), message.headers().clone());
    OutboundMessage::from_parts(message.id(), kind, headers, b"\xff{".as_slice().into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_pass_a_broker_that_is_killed_and_a_bad_network() {
    let began = Instant::now();
    let mut rabbit = PrivateRabbit::start().await;
    let proxy = FaultProxy::start(format!("127.0.0.1:{}", rabbit.port())).await;
    let url = format!("amqp://guest:guest@{}/%2f", proxy.address());
    let (fixture, store) = (Fixture::private(&url).await, Store::postgres().await);
    make_table(&store).await;
    consume(&fixture, &store, Leaves::default());
    let changes = fixture.relay(&store);
    fixture.is_up().await;
    // A queue younger than a second may lose itself when RabbitMQ 3.10 is killed.
    sleep(Duration::from_secs(2)).await;

    let faults = [
        Fault::ResetAfter(20_000),
        Fault::Delay(Duration::from_millis(200)),
        Fault::MuteReplies,
        Fault::Refuse,
        Fault::Trickle(Duration::from_millis(1)),
    ];
    let events: Vec<_> = (0..MESSAGES).map(|_| someone()).collect();
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    // Each fault has its share to meet, begun when it begins; the kill falls into its own.
    let (first, others) = events.split_at(MESSAGES / (faults.len() + 1));
    let kill = async {
        sleep(Duration::from_secs(1)).await;
        rabbit.restart().await;
        println!("killed and back after {:?}", began.elapsed());
    };
    tokio::join!(kill, write_slowly(&changes, &store, first, "killed"));
    for (fault, share) in faults.iter().zip(others.chunks(others.len().div_ceil(faults.len()))) {
        proxy.set(*fault).await;
        write_slowly(&changes, &store, share, &format!("{fault:?}")).await;
        proxy.set(Fault::Pass).await;
        sleep(Duration::from_secs(1)).await;
    }
    eventually(LONG, async || count(&store).await >= ids.len()).await;
    eventually(LONG, async || store.outbox_rows().await == 0).await;
    // What came twice may come last.
    let outsider = AmqpClient::connect(&rabbit.url()).await;
    let queue = fixture.name(EMAIL_WORKER_EVENTS.name);
    eventually(LONG, async || outsider.depth(&queue).await == 0).await;
    let _ = fixture.tasks.shut_down(SOON).await;
    assert_eq!(outsider.depth(&queue).await, 0, "given back");
    outsider.close().await;
    each_once(&store, "broker killed and a bad network", &ids).await;
    println!("the whole test took {:?}", began.elapsed());
    fixture.end().await;
}

/// Writes events so slowly that a fault lasts for some seconds of it, and fails when it never had any of them wait.
async fn write_slowly(changes: &Changes, store: &Store, events: &[Event<UserRegistered>], fault: &str) {
    let (before, mut most) = (count(store).await, 0);
    for some in events.chunks(50) {
        commit(changes, some).await;
        sleep(Duration::from_millis(120)).await;
        most = most.max(store.outbox_rows().await);
    }
    let done = count(store).await - before;
    println!(
        "{fault}: {} written, {most} waited at the most, {done} had their effect meanwhile",
        events.len()
    );
    assert!(most > 0, "{fault}: nothing met it");
}
