use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use test_support::{Process, eventually};
use tokio::time::sleep as for_a_while;

use crate::client::{Client, PATIENCE};
use crate::dlq::scene::{MAILS, Scene, registered};
use crate::stack::{Servers, Stack};

const KILLS: usize = 20;
/// A lease and half a one on top, after which another worker takes what a killed one had.
const LEASE: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_workers_killed_twenty_times_in_a_thousand_sign_ups_loses_no_mail() {
    let began = Instant::now();
    let scene = Scene::prepare().await;
    let names = publish_many(&scene, 1_000).await;
    let other = scene.worker().await;
    let mut killed = scene.worker().await;
    for _ in 0..KILLS {
        for_a_while(Duration::from_millis(rand::random_range(0..400))).await;
        killed.kill();
        killed = scene.worker().await;
    }
    let at_the_last = scene.smtp.per_recipient().len();
    println!(
        "killed {KILLS} times after {:?}; mailed then {at_the_last}",
        began.elapsed()
    );

    let received = arrived(&scene, names.len(), &other).await;
    let again = "SELECT recipient FROM email_worker.deliveries WHERE attempts > 1";
    let in_hand: BTreeSet<String> = scene.texts(again).await.into_iter().collect();
    let twice = received.iter().filter(|(_, count)| **count > 1);
    let doubled: BTreeSet<String> = twice.map(|(to, _)| to.clone()).collect();
    println!(
        "one of two workers killed {KILLS} times: sent {}, received {}, lost {}, doubled {} (the stated window), in hand at a kill {}; the whole test took {:?}",
        names.len(),
        received.len(),
        names.len() - received.len(),
        doubled.len(),
        in_hand.len(),
        began.elapsed()
    );
    assert_eq!(received.keys().cloned().collect::<BTreeSet<_>>(), names);
    // The one window: the kill fell between the last byte of a mail and the commit.
    assert!(
        doubled.is_subset(&in_hand),
        "doubled outside of the window: {doubled:?}, {in_hand:?}"
    );
    let rows = "SELECT count(*) || ' ' || count(DISTINCT recipient) FROM email_worker.deliveries";
    assert_eq!(
        scene.texts(rows).await,
        [format!("{0} {0}", names.len())],
        "an effect twice"
    );
    assert_eq!(scene.dead(MAILS).await, 0, "set aside");
}

/// Publishes that many sign-ups, and says to whom a mail is to go.
async fn publish_many(scene: &Scene, count: usize) -> BTreeSet<String> {
    stream::iter(0..count)
        .map(|n| async move {
            let email = format!("many{n}@example.com");
            scene.publish(&registered(&email).1).await;
            email
        })
        .buffer_unordered(64)
        .collect()
        .await
}

/// Waits until all mails are out and written down, for as long as there are more from time to time.
async fn arrived(scene: &Scene, count: usize, worker: &Process) -> BTreeMap<String, usize> {
    let mut moved = (0, Instant::now());
    while moved.0 < count {
        for_a_while(Duration::from_millis(200)).await;
        let received = scene.smtp.per_recipient().len();
        if received > moved.0 {
            moved = (received, Instant::now());
        }
        let log = || worker.output();
        assert!(moved.1.elapsed() < LEASE + PATIENCE, "{received} of {count}\n{}", log());
    }
    let open = "SELECT count(*)::text FROM email_worker.deliveries WHERE status <> 'accepted'";
    eventually(LEASE + PATIENCE, async || scene.texts(open).await == ["0"]).await;
    scene.smtp.per_recipient()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_send_each_of_500_mails_once() {
    let mut stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    stack.add_worker();
    stack.add_worker();
    let names = sign_up_many(&stack.client, 500).await;
    eventually(PATIENCE * 2, || async {
        stack.smtp.per_recipient().len() >= names.len()
    })
    .await;
    // One more person, mailed after all others: by then a second copy would have come.
    stack.client.sign_up("last@example.com").await.unwrap();
    eventually(PATIENCE, || async {
        !stack.smtp.mails_to("last@example.com").is_empty()
    })
    .await;
    let doubled: Vec<_> = stack
        .smtp
        .per_recipient()
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .collect();
    println!(
        "two workers, {} sign-ups: lost 0, doubled {}",
        names.len(),
        doubled.len()
    );
    assert!(doubled.is_empty(), "{doubled:?}");
}

/// Signs up that many people, eight at a time.
async fn sign_up_many(client: &Client, count: usize) -> BTreeSet<String> {
    stream::iter(0..count)
        .map(|n| async move {
            let name = format!("person{n}@example.com");
            // Who is turned away by a busy machine comes again, and may find that it was done.
            let turned_away = Cell::new(false);
            let (status, body) = eventually(PATIENCE, || async {
                let answer = client.sign_up(&name).await.unwrap();
                turned_away.set(turned_away.get() || answer.0 == 503);
                Some(answer).filter(|(status, _)| *status != 503)
            })
            .await;
            assert!(
                status == 201 || (status == 409 && turned_away.get()),
                "{status}: {body}"
            );
            name
        })
        .buffer_unordered(8)
        .collect()
        .await
}
