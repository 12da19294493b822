use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use test_support::{AmqpClient, AmqpMessage, AmqpValue, Fault, FaultProxy, PrivateRabbit, eventually};

use super::for_a_while;
use super::load::{Call, SignUp, during, sign_up};
use super::tally::{messages_reached, only, settled};
use crate::client::{PATIENCE, scrape};
use crate::stack::{Servers, Stack};

const QUEUE: &str = "email-worker.events";
const A_SECOND: u32 = 10;
const POISON: usize = 20;
/// What is deleted is declared again within this time.
const AGAIN: Duration = Duration::from_secs(5);

/// One test for all queues, since a broker of one's own takes long to boot; and one after the other, with pauses:
/// RabbitMQ 3.10.8 can lose its dead-lettering when several are deleted within seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_deleted_by_hand_loses_and_doubles_nothing_whether_its_worker_is_up_or_down() {
    let rabbit = PrivateRabbit::start().await;
    let mut stack = Stack::without_worker(Servers::with_broker(&rabbit)).await;
    stack.up().await;
    for_a_while(Duration::from_secs(2)).await;

    // The worker is down, and people sign up right after the deletion.
    delete_queue(&rabbit, &stack, QUEUE).await;
    let mut calls = signed_up(&stack, "down", 401, for_a_while(AGAIN)).await;
    stack.add_worker();
    settled(&stack, "work queue deleted, its worker down", &calls).await;
    messages_reached(&stack, "work queue deleted, its worker down").await;

    let delay = format!("{QUEUE}.retry.200");
    let dead = format!("{QUEUE}.dead");
    for (n, (fault, queue)) in [("work", QUEUE), ("delay", &delay), ("dead-letter", &dead)]
        .into_iter()
        .enumerate()
    {
        let fault = format!("{fault} queue deleted, its worker up");
        let deletion = async {
            for_a_while(Duration::from_secs(2)).await;
            delete_queue(&rabbit, &stack, queue).await;
            if queue == dead {
                poison(&rabbit, &stack).await;
            }
            for_a_while(AGAIN).await;
        };
        let area = 402 + u32::try_from(n).unwrap();
        calls.extend(signed_up(&stack, ["work", "delay", "dead"][n], area, deletion).await);
        assert!(
            queues(&rabbit).await.contains(&name(&stack, queue)),
            "{fault}: it is not there again"
        );
        settled(&stack, &fault, &calls).await;
        messages_reached(&stack, &fault).await;
    }
    poison_was_set_aside(&rabbit, &stack).await;
    let metrics = scrape(&stack.users_operations).await.unwrap();
    assert!(metrics.contains("waypost_topology_missing_since_timestamp_seconds{service=\"user-api\"} "));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_deleted_by_hand_loses_and_doubles_nothing_and_says_since_when_it_was_missing() {
    let rabbit = PrivateRabbit::start().await;
    let stack = Stack::start(Servers::with_broker(&rabbit)).await;
    stack.up().await;
    let mut calls = Vec::new();
    for (n, exchange) in ["waypost.events", "email-worker.events.in", "waypost.unrouted"]
        .into_iter()
        .enumerate()
    {
        let deletion = async {
            for_a_while(Duration::from_secs(1)).await;
            // Only what a client of the broker may do: there is no command for it.
            let outsider = AmqpClient::connect(&rabbit.url()).await;
            outsider.delete_exchange(&name(&stack, exchange)).await;
            outsider.close().await;
            for_a_while(AGAIN).await;
        };
        let area = 411 + u32::try_from(n).unwrap();
        let who = ["events", "entry", "unrouted"][n];
        calls.extend(signed_up(&stack, who, area, deletion).await);
        let listed = rabbit.control(&["list_exchanges", "name"]).await;
        assert!(
            listed.lines().any(|line| line == name(&stack, exchange)),
            "{exchange} is not there again"
        );
        settled(&stack, &format!("{exchange} deleted"), &calls).await;
        messages_reached(&stack, &format!("{exchange} deleted")).await;
    }
    let said = [&stack.users, &stack.gateway, &stack.workers[0]].iter().any(|process| {
        let log = process.output();
        log.lines()
            .any(|line| line.contains("were missing and are declared again") && line.contains("\"since\""))
    });
    assert!(said, "{}", stack.users.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_falls_silent_on_open_connections_holds_up_neither_work_nor_the_end() {
    let rabbit = PrivateRabbit::start().await;
    let upstream = format!("127.0.0.1:{}", rabbit.port());
    let (first, second) = (FaultProxy::start(&*upstream).await, FaultProxy::start(&*upstream).await);
    let through = |proxy: &FaultProxy| format!("amqp://guest:guest@{}/%2f", proxy.address());
    let mut servers = Servers::with_broker(&rabbit);
    servers.amqp = format!("{},{}", through(&first), through(&second));
    // Which of two each service tries first is left to chance.
    second.set(Fault::Refuse).await;
    let mut stack = Stack::start(servers).await;
    stack.up().await;
    stack.client.sign_up("before@example.com").await.unwrap();
    stack.smtp.wait_for(1, PATIENCE).await;
    second.set(Fault::Pass).await;
    let silence = async {
        for_a_while(Duration::from_secs(2)).await;
        let silent = Instant::now();
        first.set(Fault::MuteReplies).await;
        stack.client.sign_up("in-silence@example.com").await.unwrap();
        eventually(PATIENCE, || async {
            !stack.smtp.mails_to("in-silence@example.com").is_empty()
        })
        .await;
        println!(
            "broker silent on open connections: who signed up then had mail after {:?}",
            silent.elapsed()
        );
        for_a_while(AGAIN).await;
    };
    let calls = signed_up(&stack, "silent", 421, silence).await;
    settled(&stack, "broker silent on open connections", &calls).await;
    messages_reached(&stack, "broker silent on open connections").await;

    second.set(Fault::MuteReplies).await;
    let _ = stack.client.sign_up("at-the-end@example.com").await;
    let asked = Instant::now();
    stack.stop().await;
    assert!(asked.elapsed() < AGAIN, "{:?}", asked.elapsed());
}

/// Sign-ups with a phone while something happens; nobody is turned away for the broker's sake.
async fn signed_up(
    stack: &Stack,
    who: &'static str,
    area: u32,
    meanwhile: impl Future<Output = ()>,
) -> Vec<Call<SignUp>> {
    let calls = during(meanwhile, A_SECOND, sign_up(&stack.client, who, Some(area))).await;
    only(stack, &calls, &[201, 503]);
    calls
}

/// Publishes what no worker can read, and what thus goes to the dead letters.
async fn poison(rabbit: &PrivateRabbit, stack: &Stack) {
    let outsider = AmqpClient::connect(&rabbit.url()).await;
    for n in 0..POISON {
        let message = AmqpMessage {
            headers: [("cloudEvents_id".to_owned(), AmqpValue::from(&*n.to_string()))].into(),
            ..Default::default()
        };
        outsider
            .publish(&name(stack, "waypost.events"), "user.registered.v1", &message)
            .await;
    }
    outsider.close().await;
}

async fn poison_was_set_aside(rabbit: &PrivateRabbit, stack: &Stack) {
    let outsider = AmqpClient::connect(&rabbit.url()).await;
    let mut letters = Vec::new();
    let dead = name(stack, &format!("{QUEUE}.dead"));
    let end = Instant::now() + PATIENCE;
    while letters.len() < POISON && Instant::now() < end {
        let taken = outsider.take(&dead).await;
        letters.extend(taken.into_iter().map(|letter| letter.headers["cloudEvents_id"].clone()));
    }
    let distinct: BTreeSet<_> = letters.iter().collect();
    println!(
        "dead-letter queue deleted, dead letters: sent {POISON}, received {}, lost {}, doubled {}",
        distinct.len(),
        POISON - distinct.len(),
        letters.len() - distinct.len()
    );
    assert_eq!((distinct.len(), letters.len()), (POISON, POISON));
    outsider.close().await;
}

fn name(stack: &Stack, queue: &str) -> String {
    format!("{}.{queue}", stack.namespace())
}

async fn delete_queue(rabbit: &PrivateRabbit, stack: &Stack, queue: &str) {
    let outsider = AmqpClient::connect(&rabbit.url()).await;
    outsider.delete_queue(&name(stack, queue)).await;
    outsider.close().await;
}

async fn queues(rabbit: &PrivateRabbit) -> Vec<String> {
    let listed = rabbit.control(&["list_queues", "name"]).await;
    listed.lines().map(str::to_owned).collect()
}
