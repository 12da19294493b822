//! What is deleted by hand on a RabbitMQ of the test's own, while events flow: nothing is lost, nothing is doubled.
//!
//! One at a time, with a pause: RabbitMQ 3.10.8 can lose its dead-lettering for good when several quorum
//! queues are deleted within seconds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::messaging::OutboundMessage;
use contracts::envelope::MAX_BODY_BYTES;
use contracts::topology::{DEAD_EXCHANGE, EMAIL_WORKER_EVENTS, EVENTS_EXCHANGE, GATEWAY_EVENTS, UNROUTED};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    ExchangeUnbindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use test_support::{PrivateRabbit, eventually};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::fixture::{Fixture, LADDER, SOON, Seen, done, fail, outbound, someone};

/// How soon what was deleted is there again.
const AGAIN: Duration = Duration::from_secs(5);
const KIND: &str = "user.registered.v1";

/// A broker, a process that works on it, and somebody who deletes things on it.
struct Scene {
    rabbit: PrivateRabbit,
    fixture: Fixture,
    _connection: Connection,
    channel: Channel,
}

impl Scene {
    async fn new() -> Self {
        let rabbit = PrivateRabbit::start().await;
        let fixture = Fixture::private(&rabbit.url()).await;
        fixture.is_up().await;
        let connection = Connection::connect(&rabbit.url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self {
            rabbit,
            fixture,
            _connection: connection,
            channel,
        }
    }

    async fn delete_queue(&self, name: &str) {
        let name = self.fixture.name(name);
        self.channel
            .queue_delete(name.into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }

    async fn delete_exchange(&self, name: &str) {
        let name = self.fixture.name(name);
        self.channel
            .exchange_delete(name.into(), ExchangeDeleteOptions::default())
            .await
            .unwrap();
    }

    async fn unbind_exchange(&self, from: &str, key: &str, to: &str) {
        let (from, to) = (self.fixture.name(from), self.fixture.name(to));
        let options = ExchangeUnbindOptions::default();
        self.channel
            .exchange_unbind(to.into(), from.into(), key.into(), options, FieldTable::default())
            .await
            .unwrap();
    }

    /// The second way that events took, and the binding that stood in for others when its maker died.
    async fn declare_as_before(&self) {
        let name = |name: &str| self.fixture.name(name);
        let (bypass, nothing) = (name("waypost.bypass"), FieldTable::default);
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let declared = self
            .channel
            .exchange_declare(bypass.as_str().into(), ExchangeKind::Topic, options, nothing());
        declared.await.unwrap();
        for to in [&bypass, &name(UNROUTED)] {
            let (to, from) = (to.as_str().into(), name(EVENTS_EXCHANGE));
            let bound =
                self.channel
                    .exchange_bind(to, from.into(), "#".into(), ExchangeBindOptions::default(), nothing());
            bound.await.unwrap();
        }
    }

    async fn unbind_queue(&self, from: &str, key: &str, to: &str) {
        let (from, to) = (self.fixture.name(from), self.fixture.name(to));
        self.channel
            .queue_unbind(to.into(), from.into(), key.into(), FieldTable::default())
            .await
            .unwrap();
    }

    /// What the broker lists, without the namespace.
    async fn listed(&self, what: &str, columns: &[&str]) -> BTreeSet<String> {
        let listed = self.rabbit.control(&[&[what], columns].concat()).await;
        let ours = self.fixture.name("");
        listed
            .lines()
            .filter(|line| line.contains(&ours))
            .map(|line| line.replace(&ours, ""))
            .collect()
    }

    /// Everything that was declared.
    async fn everything(&self) -> BTreeSet<String> {
        let mut all = self.listed("list_queues", &["name"]).await;
        all.extend(self.listed("list_exchanges", &["name"]).await);
        let columns = ["source_name", "destination_name", "routing_key"];
        all.extend(self.listed("list_bindings", &columns).await);
        all
    }

    /// Deletes something while events flow, and holds what arrives to what was confirmed.
    async fn under_load(&self, what: &str, seen: &[&Seen], delete: impl Future<Output = ()>) {
        let before: Vec<_> = seen.iter().map(|seen| seen.ids().len()).collect();
        let (mut sent, end) = (Vec::new(), Instant::now() + AGAIN);
        let mut delete = Box::pin(delete);
        let mut is_deleted = false;
        while Instant::now() < end {
            sent.push(self.publish(outbound(&someone())).await);
            if !is_deleted && sent.len() > 10 {
                delete.as_mut().await;
                is_deleted = true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        for (seen, before) in seen.iter().zip(before) {
            let all = async || sent.iter().all(|id| seen.ids().contains(id));
            let arrived = tokio::time::timeout(SOON, eventually(SOON, all)).await.is_ok();
            let received = seen.ids()[before..].to_vec();
            let distinct: BTreeSet<_> = received.iter().collect();
            let lost = sent.iter().filter(|id| !distinct.contains(id)).count();
            let doubled = received.len() - distinct.len();
            println!(
                "{what}: sent {}, received {}, lost {lost}, doubled {doubled}",
                sent.len(),
                distinct.len()
            );
            assert!(
                arrived && lost == 0 && doubled == 0,
                "{what}: lost {lost}, doubled {doubled}"
            );
        }
    }

    /// As a relay does: until it is confirmed.
    async fn publish(&self, message: OutboundMessage) -> Uuid {
        let id = message.id();
        eventually(SOON, async || {
            self.fixture.broker.publish(message.clone()).await.is_ok()
        })
        .await;
        id
    }
}

#[tokio::test]
async fn a_work_queue_deleted_under_load_loses_nothing_with_its_worker_up_or_down() {
    let scene = Scene::new().await;
    let gateway = scene.fixture.consume(GATEWAY_EVENTS, |_| done());
    // The worker is down: nobody consumes the queue, other processes run.
    let mut sent = Vec::new();
    scene.delete_queue(EMAIL_WORKER_EVENTS.name).await;
    let began = Instant::now();
    for _ in 0..100 {
        sent.push(scene.publish(outbound(&someone())).await);
        sleep(Duration::from_millis(20)).await;
    }
    println!(
        "a hundred events published within {:?} of the deletion",
        began.elapsed()
    );
    let emails = scene.fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    for (seen, queue) in [(&emails, EMAIL_WORKER_EVENTS), (&gateway, GATEWAY_EVENTS)] {
        eventually(SOON, async || sent.iter().all(|id| seen.ids().contains(id))).await;
        let (received, distinct) = (seen.ids().len(), seen.ids().into_iter().collect::<BTreeSet<_>>().len());
        println!(
            "{}, its worker down: sent {}, received {distinct}, lost 0, doubled {}",
            queue.name,
            sent.len(),
            received - distinct
        );
        assert_eq!(received, distinct, "the inbox drops copies");
    }

    let up = scene.delete_queue(EMAIL_WORKER_EVENTS.name);
    scene
        .under_load("the work queue, its worker up", &[&emails, &gateway], up)
        .await;
    eventually(SOON, async || depth(&scene, UNROUTED).await == 0).await;
    scene.fixture.end().await;
}

#[tokio::test]
async fn a_delay_queue_and_the_dead_letter_queue_deleted_under_load_lose_nothing() {
    let scene = Scene::new().await;
    let others = scene.fixture.consume(GATEWAY_EVENTS, |_| done());
    let (fails, done_with) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (failing, counts) = (fails.clone(), done_with.clone());
    scene.fixture.consume(EMAIL_WORKER_EVENTS, move |message| {
        if failing.load(Ordering::SeqCst) || message.attempt == 1 {
            return fail("on purpose");
        }
        counts.fetch_add(1, Ordering::SeqCst);
        done()
    });
    for rung in LADDER {
        let queue = format!("{}.retry.{rung}", EMAIL_WORKER_EVENTS.name);
        sleep(AGAIN).await;
        scene.delete_queue(&queue).await;
        let ids = several(&scene, 50).await;
        let before = done_with.load(Ordering::SeqCst);
        eventually(SOON, async || done_with.load(Ordering::SeqCst) >= before.max(ids.len())).await;
        println!(
            "{queue}: sent {}, done {}",
            ids.len(),
            done_with.swap(0, Ordering::SeqCst)
        );
    }

    sleep(AGAIN).await;
    fails.store(true, Ordering::SeqCst);
    scene.delete_queue(&format!("{}.dead", EMAIL_WORKER_EVENTS.name)).await;
    let ids = several(&scene, 50).await;
    // One whose confirmation was lost with the queue is set aside again.
    let set_aside = eventually(SOON, async || {
        let letters = scene.fixture.dead_letters(EMAIL_WORKER_EVENTS, ids.len()).await;
        let dead: BTreeSet<_> = letters.iter().filter_map(|letter| letter.id.clone()).collect();
        let has_all = ids.iter().all(|id| dead.contains(&id.to_string()));
        has_all.then_some(letters.len())
    });
    let set_aside = set_aside.await;
    println!("the dead-letter queue: sent {}, set aside {set_aside}", ids.len());
    others.reaches(150).await;
    scene.fixture.end().await;
}

async fn several(scene: &Scene, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(scene.publish(outbound(&someone())).await);
    }
    ids
}

#[tokio::test]
async fn an_exchange_or_a_binding_deleted_under_load_is_there_again_in_5_s_and_loses_nothing() {
    let scene = Scene::new().await;
    let queue = EMAIL_WORKER_EVENTS.name;
    let entry = format!("{queue}.in");
    let emails = scene.fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let gateway = scene.fixture.consume(GATEWAY_EVENTS, |_| done());
    let both = [&emails, &gateway];
    let all = scene.everything().await;

    for exchange in [EVENTS_EXCHANGE, &entry, DEAD_EXCHANGE, UNROUTED] {
        scene.under_load(exchange, &both, scene.delete_exchange(exchange)).await;
        assert_eq!(scene.everything().await, all, "{exchange}");
    }
    let since = "waypost_topology_missing_since_timestamp_seconds{service=\"email-worker\"} 1";
    assert!(
        scene.fixture.metrics.render().contains(since),
        "{}",
        scene.fixture.metrics.render()
    );
    let unbind = scene.unbind_exchange(EVENTS_EXCHANGE, KIND, &entry);
    scene
        .under_load(&format!("{EVENTS_EXCHANGE} -> {entry}"), &both, unbind)
        .await;
    for (from, key) in [(EVENTS_EXCHANGE, KIND), (entry.as_str(), "")] {
        let unbind = scene.unbind_queue(from, key, queue);
        scene.under_load(&format!("{from} -> {queue}"), &both, unbind).await;
    }
    assert_eq!(scene.everything().await, all);
    scene.fixture.end().await;
}

#[tokio::test]
async fn what_an_earlier_release_declared_goes_when_the_new_bindings_stand_and_strangers_stay_unrouted() {
    let scene = Scene::new().await;
    let seen = scene.fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    scene.fixture.consume(GATEWAY_EVENTS, |_| done());
    let all = scene.everything().await;
    scene.declare_as_before().await;
    assert!(scene.everything().await.contains("waypost.bypass"));

    let (newer, tasks) = scene.fixture.neighbour();
    eventually(SOON, async || newer.state() == common::process::State::Up).await;
    eventually(SOON, async || scene.everything().await == all).await;
    let ids = several(&scene, 10).await;
    seen.reaches(ids.len()).await;

    let event = outbound(&someone());
    let stranger = OutboundMessage::from_parts(
        event.id(),
        "nobody.cares.v1".into(),
        event.headers().clone(),
        event.body().clone(),
    );
    scene.publish(stranger).await;
    scene.delete_queue(EMAIL_WORKER_EVENTS.name).await;
    let ids = several(&scene, 10).await;
    eventually(SOON, async || ids.iter().all(|id| seen.ids().contains(id))).await;
    eventually(SOON, async || depth(&scene, UNROUTED).await == 1).await;
    let shown = "waypost_unrouted_messages{service=\"email-worker\"} 1\n";
    eventually(SOON, async || scene.fixture.metrics.render().contains(shown)).await;
    tasks.shut_down(SOON).await.unwrap();
    scene.fixture.end().await;
}

#[tokio::test]
async fn a_broker_that_is_told_our_limit_takes_no_larger_body() {
    let scene = Scene::new().await;
    let set = format!("application:set_env(rabbit, max_message_size, {MAX_BODY_BYTES}).");
    scene.rabbit.control(&["eval", &set]).await;
    let connection = Connection::connect(&scene.rabbit.url(), ConnectionProperties::default())
        .await
        .unwrap();
    for (bytes, is_taken) in [(MAX_BODY_BYTES, true), (MAX_BODY_BYTES + 1, false)] {
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let queue = scene.fixture.name(UNROUTED);
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let body = vec![b' '; bytes];
        let publish = channel.basic_publish("".into(), queue.into(), options, &body, properties);
        let confirmed = publish.await.unwrap().await;
        assert_eq!(
            confirmed.is_ok_and(|confirmed| confirmed.is_ack()),
            is_taken,
            "{bytes} bytes"
        );
    }
    scene.fixture.end().await;
}

async fn depth(scene: &Scene, queue: &str) -> u32 {
    let passive = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let declared = scene
        .channel
        .queue_declare(scene.fixture.name(queue).into(), passive, FieldTable::default());
    declared.await.unwrap().message_count()
}
