use std::time::{Duration, Instant};

use test_support::{Fault, FaultProxy, PrivateRedis, eventually};

use super::for_a_while;
use super::load::{Call, during, none_waited, p99};
use crate::client::{Client, PATIENCE, has_breaker, wait_until};
use crate::stack::{Servers, Stack};

/// Enough that each read meets an in-process entry or a stored one in turn.
const PEOPLE: usize = 40;
/// So long may the cache take to be of use again.
pub(super) const HITS_AGAIN: Duration = Duration::from_secs(5);
/// Whoever waited for the frozen server would wait for longer.
pub(super) const NO_WAIT: Duration = Duration::from_secs(5);
/// So long has the database for its part of a read.
const DATABASE_DEADLINE: Duration = Duration::from_secs(1);

pub(super) type Read = Call<Option<(u16, String)>>;

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_sign_up_and_reads_still_answer_and_it_heals() {
    let mut redis = PrivateRedis::start().await;
    let stack = Stack::start(with(&redis)).await;
    stack.up().await;
    let (_, user) = stack.client.sign_up("before@example.com").await.unwrap();
    let id = user["id"].as_str().unwrap().to_owned();
    let token = stack.client.log_in("before@example.com").await;
    assert_eq!(stack.client.read_user(&id, &token).await, 200);

    redis.kill();
    wait_until(&stack.users_operations, "degraded").await;
    for n in 0..20 {
        assert_eq!(stack.client.read_user(&id, &token).await, 200);
        assert_eq!(
            stack
                .client
                .sign_up(&format!("without{n}@example.com"))
                .await
                .unwrap()
                .0,
            201
        );
    }

    redis.start().await;
    wait_until(&stack.users_operations, "up").await;
    assert_eq!(stack.client.read_user(&id, &token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_killed_and_flushed_under_reads_costs_nobody_an_answer() {
    let mut redis = PrivateRedis::start().await;
    let stack = Stack::start(with(&redis)).await;
    stack.up().await;
    let people = people(&stack.client).await;
    let mut at = Vec::new();
    let faults = async {
        let mut now = || at.push(Instant::now());
        now();
        for_a_while(Duration::from_secs(5)).await;
        now();
        redis.freeze();
        let ((), opened) = tokio::join!(for_a_while(Duration::from_secs(10)), breaker_opens(&stack));
        println!("Redis frozen: the breaker was seen open after {opened:?}");
        redis.thaw();
        now();
        for_a_while(Duration::from_secs(5)).await;
        now();
        redis.kill();
        for_a_while(Duration::from_secs(4)).await;
        redis.start().await;
        now();
        for_a_while(Duration::from_secs(5)).await;
        redis.command(&["FLUSHALL"]).await;
        now();
        for_a_while(Duration::from_secs(5)).await;
        now();
    };
    let client = stack.client.clone();
    let reads: Vec<Read> = during(faults, 40, |n| {
        let (client, (id, token)) = (client.clone(), people[n % PEOPLE].clone());
        async move { client.read_through_cache(&id, &token).await }
    })
    .await;
    let between = |from: usize, to: usize| {
        reads
            .iter()
            .filter(|read| (at[from]..at[to]).contains(&read.began))
            .collect::<Vec<_>>()
    };
    nobody_noticed("well", &between(0, 1));
    nobody_noticed("well or not", &between(0, 6));
    for (fault, from, back) in [("frozen", 1, 2), ("killed", 3, 4), ("flushed", 5, 5)] {
        nobody_noticed(fault, &between(from, back.max(from + 1)));
        let hit = first_hit(&reads, at[back]);
        println!("Redis {fault}: hits again after {hit:?}");
        assert!(
            hit.is_some_and(|hit| hit < HITS_AGAIN),
            "{fault}: no hit within {HITS_AGAIN:?}, {hit:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_redis_that_swallows_delays_or_resets_costs_nobody_an_answer() {
    let redis = PrivateRedis::start().await;
    let link = FaultProxy::start(redis.url().trim_start_matches("redis://").trim_end_matches('/')).await;
    let servers = Servers {
        redis: format!("redis://{}", link.address()),
        ..Servers::shared()
    };
    let stack = Stack::start(servers.set("STORE__RESPONSE_TIMEOUT_MS", "50")).await;
    stack.up().await;
    let people = people(&stack.client).await;
    let kinds = [
        ("link black-holed", Fault::BlackHole),
        ("answers black-holed", Fault::MuteReplies),
        ("link 200 ms late", Fault::Delay(Duration::from_millis(200))),
        ("link resetting", Fault::ResetAfter(100)),
    ];
    let mut at = Vec::new();
    let faults = async {
        for (_, fault) in kinds {
            for_a_while(Duration::from_secs(3)).await;
            link.set(fault).await;
            let began = Instant::now();
            for_a_while(Duration::from_secs(5)).await;
            link.set(Fault::Pass).await;
            at.push((began, Instant::now()));
        }
        for_a_while(HITS_AGAIN).await;
    };
    let client = stack.client.clone();
    let reads: Vec<Read> = during(faults, 40, |n| {
        let (client, (id, token)) = (client.clone(), people[n % PEOPLE].clone());
        async move { client.read_through_cache(&id, &token).await }
    })
    .await;
    for ((kind, _), (began, ended)) in kinds.iter().zip(at) {
        let meanwhile = reads.iter().filter(|read| (began..ended).contains(&read.began));
        nobody_noticed(kind, &meanwhile.collect::<Vec<_>>());
        let hit = first_hit(&reads, ended);
        println!("Redis {kind}: hits again after {hit:?}");
        assert!(hit.is_some_and(|hit| hit < HITS_AGAIN), "{kind}: {hit:?}");
    }
    nobody_noticed("well or not", &reads.iter().collect::<Vec<_>>());
}

/// Every read was answered, without waiting for Redis.
///
/// A machine with too much to do may turn some away, when the database has not answered by its deadline. Redis
/// costs no read as much: whoever was turned away sooner was so for the fault's sake.
pub(super) fn nobody_noticed(fault: &str, reads: &[&Read]) {
    let (answered, others): (Vec<&Read>, Vec<&Read>) =
        reads.iter().partition(|read| matches!(read.what, Some((200, _))));
    let is_late = |read: &&Read| matches!(read.what, Some((408 | 503, _))) && read.took >= DATABASE_DEADLINE;
    let (late, failed): (Vec<&Read>, Vec<&Read>) = others.into_iter().partition(is_late);
    let p99 = p99(reads.iter().copied());
    println!(
        "Redis {fault}: reads sent {}, received {}, turned away by a busy service {}, lost {}; p99 {p99:?}",
        reads.len(),
        answered.len(),
        late.len(),
        failed.len()
    );
    let failed: Vec<_> = failed.iter().map(|read| (&read.what, read.took)).collect();
    assert!(failed.is_empty(), "{fault}: {failed:?}");
    assert!(
        late.len() * 4 < reads.len(),
        "{fault}: {} of {}",
        late.len(),
        reads.len()
    );
    none_waited(fault, reads, NO_WAIT);
}

fn with(redis: &PrivateRedis) -> Servers {
    Servers {
        redis: redis.url(),
        ..Servers::shared()
    }
    .set("STORE__RESPONSE_TIMEOUT_MS", "50")
}

/// How long it took until user-api was seen to spare Redis.
async fn breaker_opens(stack: &Stack) -> Duration {
    let began = Instant::now();
    eventually(PATIENCE, || has_breaker(&stack.users_operations, "redis", 2)).await;
    began.elapsed()
}

/// Ids and tokens of people who are signed up.
pub(super) async fn people(client: &Client) -> Vec<(String, String)> {
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let email = format!("reader{n}@example.com");
        let (_, user) = client.sign_up(&email).await.unwrap();
        people.push((user["id"].as_str().unwrap().to_owned(), client.log_in(&email).await));
    }
    people
}

/// How long after `since` a read was answered from a cache.
pub(super) fn first_hit(reads: &[Read], since: Instant) -> Option<Duration> {
    reads
        .iter()
        .filter(|read| read.began >= since)
        .filter(|read| matches!(&read.what, Some((_, cache)) if cache.contains("; hit")))
        .map(|read| read.began + read.took - since)
        .min()
}
