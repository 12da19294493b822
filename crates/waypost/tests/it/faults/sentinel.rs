use std::time::{Duration, Instant};

use test_support::{PrivateSentinel, eventually};
use tokio::join;

use super::for_a_while;
use super::load::{Call, SignUp, during, none_waited, p99, sign_up};
use super::redis::{HITS_AGAIN, NO_WAIT, Read, first_hit, nobody_noticed, people};
use super::tally::mostly_done;
use crate::client::{PATIENCE, readiness};
use crate::stack::{Servers, Stack};

/// Reads and sign-ups a second.
const READS: u32 = 20;
const SIGN_UPS: u32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_redis_killed_under_load_costs_nobody_an_answer() {
    let mut sentinel = PrivateSentinel::start().await;
    let servers = Servers {
        redis: sentinel.url(),
        ..Servers::shared()
    };
    let stack = Stack::start(servers.set("STORE__RESPONSE_TIMEOUT_MS", "50")).await;
    stack.up().await;
    let people = people(&stack.client).await;
    let (mut killed, mut up_again) = (Instant::now(), Duration::ZERO);
    let (done, over) = tokio::sync::oneshot::channel();
    let faults = async {
        for_a_while(Duration::from_secs(4)).await;
        sentinel.nodes[0].kill();
        killed = Instant::now();
        let next = sentinel.nodes[1].port();
        eventually(PATIENCE, async || sentinel.master().await == next).await;
        up_again = back(&stack, killed).await;
        for_a_while(Duration::from_secs(4)).await;
        let _ = done.send(());
    };
    let client = stack.client.clone();
    let reads = during(faults, READS, |n| {
        let (client, (id, token)) = (client.clone(), people[n % people.len()].clone());
        async move { client.read_through_cache(&id, &token).await }
    });
    let until_then = async {
        let _ = over.await;
    };
    let sign_ups = during(until_then, SIGN_UPS, sign_up(&stack.client, "failover", None));
    let (reads, sign_ups): (Vec<Read>, Vec<Call<SignUp>>) = join!(reads, sign_ups);

    nobody_noticed("master killed", &reads.iter().collect::<Vec<_>>());
    println!(
        "Redis master killed: sign-ups sent {}, answered 201 {}; p99 {:?}; ready again after {up_again:?}",
        sign_ups.len(),
        sign_ups.iter().filter(|call| call.what.is_done()).count(),
        p99(&sign_ups)
    );
    mostly_done(&stack, &sign_ups);
    none_waited("master killed, sign-ups", &sign_ups.iter().collect::<Vec<_>>(), NO_WAIT);
    let hit = first_hit(&reads, killed + up_again);
    println!("Redis master killed: hits from the new master after {hit:?}");
    assert!(
        hit.is_some_and(|hit| hit < HITS_AGAIN),
        "no hit within {HITS_AGAIN:?}, {hit:?}"
    );
}

/// How long after `since` the readiness of user-api says that the store is up.
async fn back(stack: &Stack, since: Instant) -> Duration {
    eventually(PATIENCE, || async {
        readiness(&stack.users_operations)
            .await
            .is_some_and(|(_, document)| document["dependencies"]["store"] == "up")
    })
    .await;
    since.elapsed()
}
