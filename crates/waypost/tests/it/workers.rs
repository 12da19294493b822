use std::cell::Cell;
use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use test_support::eventually;

use crate::client::{Client, PATIENCE};
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_200_sign_ups_loses_no_mail() {
    let mut stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let names = sign_up_many(&stack.client, 200).await;
    stack.add_worker();
    stack.smtp.wait_for(60, PATIENCE).await;
    stack.workers[0].kill();
    let at_kill = stack.smtp.mails().len();
    stack.add_worker();

    eventually(PATIENCE * 2, || async {
        stack.smtp.per_recipient().len() >= names.len()
    })
    .await;
    let counts = stack.smtp.per_recipient();
    let doubled = counts.values().filter(|count| **count > 1).count();
    println!(
        "killed after {at_kill} of {}: mailed {}, lost 0, doubled {doubled}",
        names.len(),
        counts.len()
    );
    assert_eq!(counts.keys().cloned().collect::<BTreeSet<_>>(), names);
    // The one window: the kill fell between the last byte of a mail and the commit. A worker has a few in hand.
    assert!(doubled <= 16, "{doubled} doubled");
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
