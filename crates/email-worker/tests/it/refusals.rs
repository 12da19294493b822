use std::time::Duration;

use test_support::{Answer, Stage, eventually};

use crate::world::{SOON, Worker, World, sign_up};

/// A rest of the mail server is ten seconds at first and doubles.
const AFTER_RESTS: Duration = Duration::from_mins(1);

/// Whether the operator is told that the mail server refuses us: by metric and readiness, which stays 200 with it.
async fn says_refused(worker: &Worker) -> bool {
    let (status, readiness) = worker.get("/readyz").await;
    let is_down = status == 200 && readiness.contains("\"mail\":\"down\"");
    let (_, metrics) = worker.get("/metrics").await;
    let refuses = metrics
        .lines()
        .find(|line| line.starts_with("waypost_destination_refuses{") && line.contains("destination=\"mail\""));
    is_down && refuses.is_some_and(|line| line.ends_with(" 1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_refusal_is_tried_again_over_the_same_connection() {
    let world = World::production().await;
    world.smtp.script(
        Stage::Recipient,
        [Answer::say(451, "4.7.1 greylisted, ann@example.org")],
    );
    world.smtp.script(Stage::Text, [Answer::say(452, "no room")]);
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;

    let row = world.delivery("accepted").await;
    assert_eq!(row.attempts, 3);
    assert_eq!(world.smtp.per_recipient()["ann@example.org"], 1);
    assert_eq!(world.smtp.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_fails_once_and_repeats_no_address() {
    let world = World::production().await;
    world
        .smtp
        .always(Stage::Recipient, Answer::say(550, "5.1.1 <ann@example.org> unknown"));
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;

    let row = world.delivery("failed").await;
    assert_eq!((row.attempts, row.reason.as_deref()), (1, Some("rejected")));
    assert_eq!(row.last_error.as_deref(), Some("550 5.1.1 at RCPT TO"));
    // The worker goes on with the next mail.
    world.smtp.always(Stage::Recipient, None);
    world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
    world.smtp.wait_for(1, SOON).await;
    assert!(world.smtp.mails_to("ann@example.org").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_fails_without_asking_the_server() {
    let world = World::embedded().await;
    let _worker = world.worker().await;
    world
        .publish(&sign_up("ann@example.org>\r\nRCPT TO:<eve@example.org", "Ann", "en"))
        .await;
    let row = world.delivery("failed").await;
    assert_eq!(row.reason.as_deref(), Some("rejected"));
    assert_eq!(world.smtp.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_about_us_loses_no_mail_and_each_arrives_once_when_it_is_mended() {
    let world = World::production().await;
    let refusal = Answer::say(554, "5.7.1 <ann@example.org>: Relay access denied");
    world.smtp.always(Stage::Recipient, refusal);
    let worker = world.worker().await;
    let people = |domain| (0..3).map(move |n| format!("person{n}@{domain}"));
    let mut addresses: Vec<String> = ["a.example", "b.example", "c.example", "d.example"]
        .into_iter()
        .flat_map(people)
        .collect();
    for address in &addresses {
        world.publish(&sign_up(address, "Person", "en")).await;
    }
    eventually(SOON, || says_refused(&worker)).await;
    // Who comes now is not asked about at all.
    world.publish(&sign_up("late@e.example", "Late", "en")).await;
    addresses.push("late@e.example".to_owned());

    world.smtp.always(Stage::Recipient, None);
    world.smtp.wait_for(addresses.len(), AFTER_RESTS).await;
    let rows = eventually(SOON, || async {
        let rows = world.deliveries().await;
        rows.iter().all(|row| row.status == "accepted").then_some(rows)
    })
    .await;
    assert_eq!(rows.len(), addresses.len());
    let received = world.smtp.per_recipient();
    println!(
        "sent {}, received {}, lost 0, doubled 0",
        addresses.len(),
        received.len()
    );
    assert!(addresses.iter().all(|address| received[address] == 1), "{received:?}");
    assert!(!says_refused(&worker).await);
    eventually(SOON, || async {
        worker.get("/readyz").await.1.contains("\"mail\":\"up\"")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_anybody_is_named_is_no_verdict_on_a_mail() {
    for (stage, answer, attempts) in [
        (Stage::Connect, Answer::say(554, "5.7.1 not you"), 1),
        (Stage::Hello, Answer::say(550, "who?"), 1),
        (Stage::Sender, Answer::say(530, "5.7.0 log in first"), 2),
    ] {
        let world = World::embedded().await;
        world.smtp.script(stage, [answer]);
        let worker = world.worker().await;
        world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
        eventually(SOON, || says_refused(&worker)).await;
        let row = world.delivery("accepted").await;
        assert_eq!(row.attempts, attempts, "{stage:?}");
        assert_eq!(world.smtp.per_recipient()["ann@example.org"], 1);
        assert!(!says_refused(&worker).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_the_relay_slows_holds_up_no_other() {
    let world = World::production().await;
    world
        .smtp
        .always_to("slow.example", Answer::say(450, "4.7.1 too much from you"));
    world
        .smtp
        .always_to("closing.example", Answer::say(421, "4.7.0 try later"));
    let worker = world.worker().await;
    let slowed: Vec<String> = (0..6)
        .map(|n| format!("p{n}@{}.example", if n % 2 == 0 { "slow" } else { "closing" }))
        .collect();
    for address in &slowed {
        world.publish(&sign_up(address, "Slow", "en")).await;
    }
    eventually(SOON, || async {
        let rows = world.deliveries().await;
        let tried = rows.iter().filter(|row| row.last_error.is_some()).count();
        tried == slowed.len()
    })
    .await;
    let others: Vec<String> = (0..20).map(|n| format!("q{n}@{}.example", n % 5)).collect();
    for address in &others {
        world.publish(&sign_up(address, "Other", "en")).await;
    }
    world.smtp.wait_for(others.len(), Duration::from_secs(5)).await;
    assert!(!says_refused(&worker).await);

    for domain in ["slow.example", "closing.example"] {
        world.smtp.always_to(domain, None);
    }
    world.smtp.wait_for(others.len() + slowed.len(), AFTER_RESTS).await;
    let received = world.smtp.per_recipient();
    assert!(received.values().all(|count| *count == 1), "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_waited_for_our_access_until_its_time_was_over_is_exhausted_and_not_rejected() {
    let mut world = World::embedded().await;
    world.settings.dispatch.give_up_after = Duration::from_secs(2);
    world
        .smtp
        .always(Stage::Recipient, Answer::say(554, "5.7.1 Relay access denied"));
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    let row = world.delivery("failed").await;
    assert_eq!(row.reason.as_deref(), Some("exhausted"));
    assert!(row.attempts > 1, "{row:?}");
}
