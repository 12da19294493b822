//! Three nodes of RabbitMQ under one URL: what becomes of the messages when nodes die.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use test_support::{PrivateRabbitCluster, eventually};
use tokio::join;

use super::for_a_while;
use super::load::{Call, SignUp, during, none_waited, sign_up};
use super::tally::{mostly_done, settled};
use crate::client::{PATIENCE, readiness, wait_until};
use crate::stack::{Servers, Stack};

/// The queue whose leader is killed.
const QUEUE: &str = "email-worker.events";
/// Sign-ups a second.
const A_SECOND: u32 = 15;
/// A sign-up that waited for the broker would take longer.
const NO_WAIT: Duration = Duration::from_secs(10);

/// One test for both, since three nodes take half a minute to boot.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_its_leader_and_then_its_majority_loses_and_doubles_nothing() {
    let began = Instant::now();
    let mut cluster = PrivateRabbitCluster::start().await;
    println!("three nodes are a cluster after {:?}", began.elapsed());
    let servers = Servers {
        amqp: cluster.url(),
        ..Servers::shared()
    };
    let stack = Stack::start(servers).await;
    stack.up().await;
    println!("the services are connected to {}", nodes_in_use(&stack).await);

    let mut calls = leader_killed(&mut cluster, &stack).await;
    settled(&stack, "the leader's node killed and started again", &calls).await;
    calls.extend(majority_killed(&mut cluster, &stack).await);
    settled(&stack, "two of three nodes killed and started again", &calls).await;
    wait_until(&stack.users_operations, "up").await;
    println!("the whole test took {:?}", began.elapsed());
}

async fn leader_killed(cluster: &mut PrivateRabbitCluster, stack: &Stack) -> Vec<Call<SignUp>> {
    let queue = format!("{}.{QUEUE}", stack.namespace());
    let (mut killed, mut over) = (Instant::now(), Instant::now());
    let faults = async {
        stack.smtp.wait_for(20, PATIENCE).await;
        // The queues must be older than a second, or RabbitMQ 3.10 may forget them at a kill.
        for_a_while(Duration::from_secs(2)).await;
        let leader = cluster.leader(&queue, 0).await;
        cluster.nodes[leader].kill();
        killed = Instant::now();
        later_ones_have_mail(stack).await;
        for_a_while(Duration::from_secs(4)).await;
        over = Instant::now();
        let asked = Instant::now();
        let said = stack.doctor().await;
        println!("the doctor took {:?}", asked.elapsed());
        let asked = Instant::now();
        let dead = format!("no answer from 127.0.0.1:{}", cluster.nodes[leader].port());
        assert!(said.contains(&dead), "{said}");
        cluster.nodes[leader].start().await;
        println!(
            "node {leader} led; killed, it was back {:?} after its start",
            asked.elapsed()
        );
        let next = cluster.leader(&queue, leader).await;
        assert_ne!(next, leader, "nobody else took the queue over");
        for_a_while(Duration::from_secs(1)).await;
    };
    let calls = during(faults, A_SECOND, sign_up(&stack.client, "leader", None)).await;
    mostly_done(stack, &calls);
    none_waited("leader's node killed", &calls.iter().collect::<Vec<_>>(), NO_WAIT);
    let gap = longest_gap(stack, killed, over);
    println!(
        "leader's node killed: the longest gap between two mails was {gap:?}; the services are connected to {}",
        nodes_in_use(stack).await
    );
    calls
}

/// Waits until somebody has a mail who signed up after now: what it takes went over the nodes that are left.
async fn later_ones_have_mail(stack: &Stack) {
    let accounts = eventually(PATIENCE, || async {
        let found: BTreeSet<String> = stack
            .texts("SELECT email FROM user_api.users")
            .await
            .into_iter()
            .collect();
        (!found.is_empty()).then_some(found)
    })
    .await;
    eventually(PATIENCE, || async {
        stack.smtp.per_recipient().keys().any(|to| !accounts.contains(to))
    })
    .await;
}

async fn majority_killed(cluster: &mut PrivateRabbitCluster, stack: &Stack) -> Vec<Call<SignUp>> {
    let [first, second, _last] = &mut cluster.nodes;
    first.kill();
    second.kill();
    let faults = for_a_while(Duration::from_secs(6));
    let calls = during(faults, A_SECOND, sign_up(&stack.client, "minority", None)).await;
    mostly_done(stack, &calls);
    none_waited("majority killed", &calls.iter().collect::<Vec<_>>(), NO_WAIT);
    let early = stack
        .smtp
        .per_recipient()
        .into_keys()
        .filter(|to| to.starts_with("minority"))
        .count();
    assert_eq!(early, 0, "published by a minority");
    let waiting = stack.texts("SELECT count(*)::text FROM user_api.outbox").await;
    println!(
        "two of three nodes dead: {} sign-ups, {} events wait",
        calls.len(),
        waiting.concat()
    );

    // One of them is a majority with the third: all that waits may be mailed before the other is back.
    let (began, mails) = (Instant::now(), stack.smtp.mails().len());
    join!(first.start(), second.start());
    let back = began.elapsed();
    let first_mail = stack.smtp.wait_for(mails + 1, PATIENCE * 2).await[mails].at;
    println!(
        "both nodes were back after {back:?}; the first mail came {:?} after their start",
        first_mail - began
    );
    calls
}

/// The longest time between two mails, of those that came from `from` to `to`; from the last one before.
fn longest_gap(stack: &Stack, from: Instant, to: Instant) -> Duration {
    let mut times: Vec<_> = stack
        .smtp
        .mails()
        .iter()
        .map(|mail| mail.at)
        .filter(|at| *at < to)
        .collect();
    times.sort_unstable();
    times.push(to);
    let after = times.windows(2).filter(|pair| pair[1] > from);
    after.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// The nodes that user-api says it is connected to.
async fn nodes_in_use(stack: &Stack) -> String {
    eventually(PATIENCE, || async {
        let (_, document) = readiness(&stack.users_operations).await?;
        document["nodes"]["broker"].as_str().map(str::to_owned)
    })
    .await
}
