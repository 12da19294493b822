//! The table of callers, and what a decision costs in this process.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use common::limits::{Class, Subject, Verdict};
use test_support::redis_url;

use super::fixture::{LIMIT, Replica, anybody, open};

#[tokio::test]
async fn the_table_is_bounded_and_a_full_one_refuses_nobody() {
    let replica = Replica::new(LIMIT, open("memory://").await, 0);
    for n in 0..100_000_u32 {
        let source = Subject::source(IpAddr::V4(Ipv4Addr::from(n)));
        let decision = replica.limiter.check(Class::Read, source).await;
        assert_eq!(decision.verdict, Verdict::Pass, "source {n}");
    }
    let held = replica.limiter.callers();
    println!("100,000 sources came, {held} are held");
    assert!(held <= 8 * 1024 * 1024 / 200, "{held}");
}

#[tokio::test]
async fn one_network_of_ipv6_is_one_source() {
    let replica = Replica::new(LIMIT, open("memory://").await, 0);
    let mut passed = 0;
    for n in 0..10_000_u128 {
        let address = Ipv6Addr::from((0x2001_0db8_0001_0002_u128 << 64) | (n << 32));
        passed += usize::from(replica.passes(Subject::source(address.into())).await);
    }
    assert!(passed < 10_000, "each address had a limit of its own");
    let next = Subject::source("2001:db8:1:3::1".parse().unwrap());
    assert!(replica.passes(next).await);
}

/// Prints times; nothing depends on them.
#[tokio::test]
async fn what_a_decision_costs() {
    const TIMES: u32 = 200_000;
    let (mut generous, mut mean) = (LIMIT, LIMIT);
    (generous.rate, generous.burst) = (60_000_000.0, 1_000_000);
    (mean.rate, mean.burst) = (0.01, 1);
    for (what, limit, url) in [
        ("within the limit", generous, redis_url()),
        ("over the limit", mean, redis_url()),
        ("within the limit, in memory", generous, "memory://".to_owned()),
    ] {
        let (replica, subject) = (Replica::new(limit, open(&url).await, 0), anybody());
        replica.check(subject).await;
        let began = Instant::now();
        for _ in 0..TIMES {
            replica.check(subject).await;
        }
        let each = began.elapsed() / TIMES;
        let asked = replica.decided("drawn");
        println!("{what}: {each:?} a decision; {asked} of {TIMES} asked the store");
    }
}
