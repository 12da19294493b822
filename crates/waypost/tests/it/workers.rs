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
/// Mails that one worker has in hand at a time at most, all of one domain: the worker's own bound, of which a kill is its share.
const IN_HAND: usize = 12;
/// A lease and half a one on top, after which another worker takes what a killed one had.
const LEASE: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_workers_killed_twenty_times_in_a_thousand_sign_ups_loses_no_mail() {
    twenty_kills_lose_no_mail(1_000, Duration::from_millis(400)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make test-long"]
async fn one_of_two_workers_killed_twenty_times_in_ten_thousand_sign_ups_loses_no_mail() {
    twenty_kills_lose_no_mail(10_000, Duration::from_secs(4)).await;
}

/// Has `count` mails wait, and kills a worker twenty times, each time after a `pause` at most.
async fn twenty_kills_lose_no_mail(count: usize, pause: Duration) {
    let began = Instant::now();
    let scene = Scene::prepare().await;
    let names = publish_many(&scene, count).await;
    let other = scene.worker().await;
    let mut killed = scene.worker().await;
    let mut mailed = Vec::new();
    for _ in 0..KILLS {
        for_a_while(rand::random_range(Duration::ZERO..pause)).await;
        killed.kill();
        mailed.push(scene.smtp.per_recipient().len());
        killed = scene.worker().await;
    }
    println!(
        "killed {KILLS} times after {:?}, when so many had their mail: {mailed:?}",
        began.elapsed()
    );
    assert!(
        mailed[0] < mailed[KILLS - 1] && mailed[KILLS - 1] < names.len(),
        "the kills did not fall into the work: {mailed:?}"
    );

    let received = arrived(&scene, names.len(), &other).await;
    let attempts = attempts(&scene).await;
    // Each attempt but a mail's last ended with a kill.
    let in_hand: usize = attempts.values().map(|attempts| attempts - 1).sum();
    let doubled = received.values().filter(|count| **count > 1).count();
    println!(
        "one of two workers killed {KILLS} times: sent {}, received {}, lost {}, doubled {doubled} (the stated window), in hand at a kill {in_hand}; the whole test took {:?}",
        names.len(),
        received.len(),
        names.iter().filter(|to| !received.contains_key(*to)).count(),
        began.elapsed()
    );
    assert_eq!(received.keys().cloned().collect::<BTreeSet<_>>(), names);
    // The one window: the kill fell between the last byte of a mail and the commit.
    let outside: Vec<_> = received
        .iter()
        .filter(|(to, count)| attempts.get(*to).is_none_or(|attempts| *count > attempts))
        .collect();
    assert!(outside.is_empty(), "doubled outside of the window: {outside:?}");
    assert!(
        in_hand <= KILLS * IN_HAND,
        "{in_hand} attempts ended without an outcome"
    );
    let rows = "SELECT count(*) || ' ' || count(DISTINCT recipient) FROM email_worker.deliveries";
    assert_eq!(
        scene.texts(rows).await,
        [format!("{0} {0}", names.len())],
        "an effect twice"
    );
    assert_eq!(scene.dead(MAILS).await, 0, "set aside");
}

/// How often each recipient's mail was begun.
async fn attempts(scene: &Scene) -> BTreeMap<String, usize> {
    let begun = "SELECT recipient || ' ' || attempts FROM email_worker.deliveries";
    let begun = scene.texts(begun).await;
    let pairs = begun.iter().map(|line| line.rsplit_once(' ').unwrap());
    pairs
        .map(|(to, attempts)| (to.to_owned(), attempts.parse().unwrap()))
        .collect()
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
