use std::time::{Duration, Instant};

use test_support::{Fault, FaultProxy, PrivateRabbit, amqp_url, eventually};

use super::for_a_while;
use super::load::{Call, SignUp, during, none_waited, p99, sign_up};
use super::tally::{mostly_done, settled};
use crate::client::{PATIENCE, wait_until};
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_while_the_broker_is_away_is_mailed_once_when_it_is_back() {
    let mut rabbit = PrivateRabbit::prepare();
    let stack = Stack::start(Servers::with_broker(&rabbit)).await;
    wait_until(&stack.users_operations, "degraded").await;

    let (status, body) = stack.client.sign_up("waits@example.com").await.unwrap();
    assert_eq!(status, 201, "{body}");
    rabbit.start().await;

    stack.smtp.wait_for(1, PATIENCE).await;
    wait_until(&stack.users_operations, "up").await;
    // A second person's mail comes after any second copy of the first one's.
    stack.client.sign_up("after@example.com").await.unwrap();
    eventually(PATIENCE, || async {
        !stack.smtp.mails_to("after@example.com").is_empty()
    })
    .await;
    assert_eq!(stack.smtp.mails_to("waits@example.com").len(), 1);
}

/// One test for all, since a broker of one's own takes long to boot, and so do the 30 s of a frozen one, which others
/// spend with one in a black hole.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_frozen_or_in_a_black_hole_and_killed_three_times_under_load_loses_and_doubles_nothing() {
    let mut rabbit = PrivateRabbit::start().await;
    let stack = Stack::start(Servers::with_broker(&rabbit)).await;
    let hole = FaultProxy::before(&amqp_url()).await;
    let beside = Stack::start(Servers {
        amqp: hole.url(&amqp_url()),
        ..Servers::shared()
    })
    .await;
    stack.up().await;
    beside.up().await;
    let (mut calls, hidden) = tokio::join!(frozen_for_30_s(&rabbit, &stack), hidden_for_30_s(&hole, &beside));
    settled(&stack, "broker frozen for 30 s", &calls).await;
    settled(&beside, "broker in a black hole for 30 s", &hidden).await;
    drop(beside);
    for (short_of, raise, lower) in [
        (
            "memory",
            ["set_vm_memory_high_watermark", "0"],
            ["set_vm_memory_high_watermark", "0.9"],
        ),
        (
            "disk",
            ["set_disk_free_limit", "1000000000MB"],
            ["set_disk_free_limit", "1MB"],
        ),
    ] {
        calls.extend(alarmed(&rabbit, &stack, short_of, [&raise, &lower]).await);
        settled(&stack, &format!("broker short of {short_of}"), &calls).await;
    }

    let kills = async {
        for _ in 0..3 {
            for_a_while(Duration::from_secs(2)).await;
            rabbit.restart().await;
            let (back, mails) = (Instant::now(), stack.smtp.mails().len());
            stack.smtp.wait_for(mails + 1, PATIENCE).await;
            println!(
                "the broker answers again; the first mail came {:?} later",
                back.elapsed()
            );
        }
    };
    let began = Instant::now();
    let killed = during(kills, 20, sign_up(&stack.client, "killed", None)).await;
    let (count, took) = (killed.len() as u128, began.elapsed());
    let a_second = count * 1000 / took.as_millis();
    println!("{count} sign-ups in {took:?}, {a_second} a second");
    mostly_done(&stack, &killed);
    calls.extend(killed);
    settled(&stack, "broker frozen, then killed three times", &calls).await;
}

async fn frozen_for_30_s(rabbit: &PrivateRabbit, stack: &Stack) -> Vec<Call<SignUp>> {
    let mut frozen = None;
    let freeze = async {
        // The queues must be older than a second, or RabbitMQ 3.10 may forget them at a kill.
        stack.smtp.wait_for(20, PATIENCE).await;
        for_a_while(Duration::from_secs(2)).await;
        rabbit.freeze();
        frozen = Some(Instant::now());
        for_a_while(Duration::from_secs(30)).await;
        rabbit.thaw();
    };
    let calls = during(freeze, 20, sign_up(&stack.client, "frozen", None)).await;
    mostly_done(stack, &calls);
    let frozen = frozen.unwrap();
    let before = p99(calls.iter().filter(|call| call.began < frozen));
    let meanwhile = p99(calls.iter().filter(|call| call.began >= frozen));
    println!("sign-ups, p99: {before:?} before, {meanwhile:?} with a frozen broker");
    // Whoever began in the first seconds and waited for the broker would have waited for longer.
    none_waited(
        "broker frozen for 30 s",
        &calls.iter().collect::<Vec<_>>(),
        Duration::from_secs(10),
    );
    calls
}

/// Nothing gets to the broker or comes from it, on connections that stay open, and new ones hear nothing. What was sent meanwhile
/// arrives when it ends.
async fn hidden_for_30_s(hole: &FaultProxy, stack: &Stack) -> Vec<Call<SignUp>> {
    let mut meanwhile = None;
    let hide = async {
        stack.smtp.wait_for(5, PATIENCE).await;
        hole.set(Fault::BlackHole).await;
        let began = stack.smtp.mails().len();
        for_a_while(Duration::from_secs(30)).await;
        meanwhile = Some(stack.smtp.mails().len() - began);
        hole.set(Fault::Pass).await;
    };
    let calls = during(hide, 4, sign_up(&stack.client, "hidden", None)).await;
    mostly_done(stack, &calls);
    let meanwhile = meanwhile.unwrap();
    println!(
        "broker in a black hole: {} sign-ups; {meanwhile} mails meanwhile, of what was in hand before",
        calls.len()
    );
    assert!(
        meanwhile * 4 < calls.len(),
        "messages got through a black hole: {meanwhile}"
    );
    none_waited(
        "broker in a black hole for 30 s",
        &calls.iter().collect::<Vec<_>>(),
        Duration::from_secs(10),
    );
    calls
}

/// Has the broker take no messages for a while; who signs up meanwhile is told so at once, and mailed after.
async fn alarmed(
    rabbit: &PrivateRabbit,
    stack: &Stack,
    short_of: &'static str,
    [raise, lower]: [&[&str]; 2],
) -> Vec<Call<SignUp>> {
    let alarm = async {
        rabbit.control(raise).await;
        wait_until(&stack.users_operations, "degraded").await;
        let (email, mails) = (format!("short-of-{short_of}@example.com"), stack.smtp.mails().len());
        let (status, body) = stack.client.sign_up(&email).await.unwrap();
        assert_eq!(status, 201, "{body}");
        for_a_while(Duration::from_secs(3)).await;
        let meanwhile = stack.smtp.mails().len() - mails;
        println!("short of {short_of}: {meanwhile} mails in 3 s, of what was published before");
        assert!(stack.smtp.mails_to(&email).is_empty(), "the broker took a message");
        rabbit.control(lower).await;
        wait_until(&stack.users_operations, "up").await;
    };
    let calls = during(alarm, 20, sign_up(&stack.client, short_of, None)).await;
    mostly_done(stack, &calls);
    none_waited(short_of, &calls.iter().collect::<Vec<_>>(), Duration::from_secs(10));
    calls
}
