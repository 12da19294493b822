use std::collections::BTreeMap;

use contracts::Event;
use contracts::events::UserRegistered;
use futures_util::future::join_all;
use mail_parser::MessageParser;
use test_support::eventually;

use crate::world::{SOON, Worker, World, sign_up};

async fn settle(workers: &[Worker], messages: usize) {
    eventually(SOON * 3, || async {
        let counts = join_all(workers.iter().map(Worker::acknowledged)).await;
        counts.iter().sum::<usize>() >= messages
    })
    .await;
}

async fn redelivered(world: World) {
    let worker = world.worker().await;
    let event = sign_up("ann@example.org", "Ann", "en");
    for _ in 0..3 {
        world.publish(&event).await;
    }
    world.smtp.wait_for(1, SOON).await;
    settle(std::slice::from_ref(&worker), 3).await;
    // A fourth copy, long after the mail has gone.
    world.delivery("accepted").await;
    world.publish(&event).await;
    settle(std::slice::from_ref(&worker), 4).await;
    world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
    world.smtp.wait_for(2, SOON).await;
    assert_eq!(world.smtp.per_recipient()["ann@example.org"], 1);
    assert_eq!(world.heard.wait_for(2).await.len(), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_event_sends_no_second_mail() {
    redelivered(World::production().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_event_sends_no_second_mail_in_the_embedded_process() {
    redelivered(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_send_each_mail_once() {
    let world = World::production().await;
    let workers = [world.worker().await, world.worker().await];
    let events: Vec<Event<UserRegistered>> = (0..300)
        .map(|number| sign_up(&format!("person{number}@example.org"), "Person", "en"))
        .collect();
    // Each event twice, so that the same one is in both workers' hands.
    for _ in 0..2 {
        join_all(events.iter().map(|event| world.publish(event))).await;
    }
    world.smtp.wait_for(events.len(), SOON * 3).await;
    settle(&workers, 2 * events.len()).await;
    let expected: BTreeMap<String, usize> = events
        .iter()
        .map(|event| (event.data.person.email.clone(), 1))
        .collect();
    assert_eq!(world.smtp.per_recipient(), expected);
    assert!(
        world.smtp.connections() <= 40,
        "connections are reused: {}",
        world.smtp.connections()
    );
    let [one, other] = workers;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_hears_of_the_mail_that_left_under_the_id_it_left_with() {
    let world = World::production().await;
    let _worker = world.worker().await;
    let event = sign_up("ann@example.org", "Ann", "en");
    world.publish(&event).await;

    let (message, sent) = world.heard.wait_for(1).await.remove(0);
    assert_eq!(message.causation_id, Some(event.id));
    assert_eq!(message.subject, Some(event.subject));
    assert_eq!(
        (sent.user_id, sent.source_event_id),
        (event.data.person.user_id, event.id)
    );
    assert_eq!(sent.template, "welcome");
    let mail = world.smtp.mails().remove(0);
    let mail = MessageParser::default().parse(&mail.data).unwrap();
    assert_eq!(mail.message_id().unwrap(), sent.message_id);
    assert!(sent.message_id.contains(&event.id.to_string()));
}
