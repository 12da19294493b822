//! Three replicas over one Redis: together never more than the limit, and not less.

use std::time::{Duration, Instant};

use common::{
    config::{Algorithm, RateLimit},
    limits::Verdict,
};
use test_support::redis_url;

use super::fixture::{LIMIT, PATIENT, anybody, by_rate, float, hammer, three};

const BURST: f64 = 100.0;

#[tokio::test(flavor = "multi_thread")]
async fn together_they_let_no_more_pass_than_the_limit_whatever_their_clocks_say() {
    // Ten a second: a machine with too much to do still asks for more.
    let limit = RateLimit {
        rate: 600.0,
        burst: 20,
        ..LIMIT
    };
    for clocks in [[0, 0, 0], [0, 300, -300]] {
        let replicas = three(limit, (&redis_url(), PATIENT), clocks).await;
        let began = Instant::now();
        let (passed, took) = hammer(&replicas, anybody(), began + Duration::from_secs(3)).await;
        let most = 20.0 + by_rate(began.elapsed()) / 10.0;
        println!(
            "clocks off by {clocks:?}: {} of {} passed; the limit is {most:.0}",
            passed.len(),
            took.len()
        );
        assert!(float(passed.len()) <= most, "{} of {most}", passed.len());
        assert!(float(took.len()) > most, "too few asked to show anything");
        assert!(replicas.iter().all(|replica| replica.decided("alone") == 0));
        for replica in 0..3 {
            let let_some_pass = passed.iter().any(|(_, by)| *by == replica);
            assert!(let_some_pass, "replica {replica} let nobody pass");
        }
    }
}

/// One and a half times the limit, a request at a time, from replica to replica.
#[tokio::test(flavor = "multi_thread")]
async fn even_traffic_gets_at_least_98_of_100_of_the_limit() {
    let replicas = three(LIMIT, (&redis_url(), PATIENT), [0, 0, 0]).await;
    let (subject, began) = (anybody(), Instant::now());
    let (mut passed, mut newest) = (0, began);
    for n in 0..900_u32 {
        let due = began + Duration::from_micros(6_667) * n;
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        newest = Instant::now();
        passed += usize::from(replicas[n as usize % 3].passes(subject).await);
    }
    let (least, most) = (BURST + by_rate(newest - began), BURST + by_rate(began.elapsed()));
    println!("{passed} of 900 passed; the limit is {least:.0}");
    assert!(float(passed) >= 0.98 * least.min(900.0) - 1.0, "{passed} of {least}");
    assert!(float(passed) <= most, "{passed} of {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn most_requests_within_the_limit_cost_no_round_trip() {
    let replicas = three(LIMIT, (&redis_url(), PATIENT), [0, 0, 0]).await;
    let (subject, began) = (anybody(), Instant::now());
    // Two thirds of the limit.
    for n in 0..300_u32 {
        let due = began + Duration::from_millis(15) * n;
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        assert!(
            replicas[n as usize % 3].passes(subject).await,
            "request {n} was refused"
        );
    }
    let sum = |outcome| replicas.iter().map(|replica| replica.decided(outcome)).sum::<u64>();
    let (leased, drawn) = (sum("leased"), sum("drawn"));
    println!("of 300 requests {leased} took a token in hand, {drawn} asked Redis");
    assert!(leased > drawn, "{leased} in hand, {drawn} drawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaky_bucket_spaces_over_all_replicas_and_nobody_waits_for_long() {
    // One in 20 ms; ten may wait.
    let limit = RateLimit {
        rate: 3_000.0,
        burst: 10,
        algorithm: Algorithm::LeakyBucket,
    };
    let replicas = three(limit, (&redis_url(), PATIENT), [0, 0, 0]).await;
    let (subject, began) = (anybody(), Instant::now());
    let asks = (0..60).map(|n: usize| {
        let replica = &replicas[n % 3];
        async move { replica.check(subject).await.verdict }
    });
    let verdicts = futures_util::future::join_all(asks).await;
    let asked_for = began.elapsed();
    let mut turns: Vec<Duration> = Vec::new();
    for verdict in verdicts {
        match verdict {
            Verdict::Pass => turns.push(Duration::ZERO),
            Verdict::Wait(turn) => turns.push(turn),
            Verdict::Refuse(after) => assert!(after <= Duration::from_millis(20), "{after:?}"),
        }
    }
    turns.sort();
    println!("{} of 60 pass, at {turns:?}; asked within {asked_for:?}", turns.len());
    assert!(turns.iter().all(|turn| *turn <= Duration::from_millis(200)));
    // The one that needs not wait, ten in the queue, and one more in each 20 ms that the asking took.
    let most = 11.0 + (asked_for.as_secs_f64() / 0.02).ceil();
    assert!(
        turns.len() >= 11 && float(turns.len()) <= most,
        "{} of {most}",
        turns.len()
    );
    let delayed = replicas.iter().map(|replica| replica.decided("delayed")).sum::<u64>();
    assert!(delayed >= 10, "{delayed}");
}
