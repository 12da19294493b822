//! Redis goes away, hangs, and comes back.

use std::time::{Duration, Instant};

use common::{
    config::Service,
    process::{State, Tasks},
    store::{Store, StoreError, Timeouts},
};
use test_support::{FaultProxy, PrivateRedis, eventually};

const SOON: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(1);
/// What no single call may take on a busy machine, far below any wait for a server.
const AT_ONCE: Duration = Duration::from_secs(5);

fn open(url: &str) -> Store {
    let tasks = Tasks::new(Service::UserApi);
    Store::open(url, "faults", Timeouts::default(), &tasks).unwrap()
}

async fn answers(store: &Store) -> bool {
    store.set("a", b"1", LONG).await.is_ok()
}

/// Calls for `how_long` and gives back the slowest call's time.
async fn slowest_call(store: &Store, how_long: Duration) -> Duration {
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < how_long {
        let call = Instant::now();
        let _ = store.get("a").await;
        slowest = slowest.max(call.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    slowest
}

/// Calls for `how_long` what hangs, and gives back how long each call took that was waited for.
async fn waits(how_long: Duration, mut call: impl AsyncFnMut() -> Result<(), StoreError>) -> Vec<Duration> {
    let (start, mut waits) = (Instant::now(), Vec::new());
    while start.elapsed() < how_long {
        let began = Instant::now();
        match call().await {
            Err(StoreError::TimedOut) => waits.push(began.elapsed()),
            Err(StoreError::Away) => assert!(began.elapsed() < AT_ONCE),
            other => panic!("a server that hangs answered {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    waits
}

#[tokio::test]
async fn it_starts_without_its_server_and_connects_when_there_is_one() {
    let mut redis = PrivateRedis::prepare();
    let store = open(&redis.url());
    assert_eq!(store.state(), State::Down);
    assert!(matches!(store.get("a").await, Err(StoreError::Away)));
    redis.start().await;
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    assert_eq!(store.state(), State::Up);
}

#[tokio::test]
async fn a_killed_server_costs_no_waiting_and_is_found_again() {
    let mut redis = PrivateRedis::start().await;
    let store = open(&redis.url());
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    redis.kill();
    assert!(slowest_call(&store, Duration::from_secs(1)).await < AT_ONCE);
    assert_eq!(store.state(), State::Down);
    assert!(matches!(store.get("a").await, Err(StoreError::Away)));
    redis.start().await;
    eventually(SOON, || answers(&store)).await;
    assert_eq!(store.state(), State::Up);
}

#[tokio::test]
async fn a_server_that_dies_unused_is_noticed() {
    let mut redis = PrivateRedis::start().await;
    let store = open(&redis.url());
    assert!(store.connected(SOON).await);
    redis.kill();
    eventually(SOON, async || store.state() == State::Down).await;
}

#[tokio::test]
async fn a_server_that_hangs_costs_three_short_waits_at_most() {
    let redis = PrivateRedis::start().await;
    let store = open(&redis.url());
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    redis.freeze();
    let waits = waits(Duration::from_secs(2), async || store.get("a").await.map(|_| ())).await;
    println!("a frozen server was waited for {} times: {waits:?}", waits.len());
    assert!((1..=3).contains(&waits.len()), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait < AT_ONCE), "{waits:?}");
    assert_eq!(store.state(), State::Down);
    redis.thaw();
    eventually(SOON, || answers(&store)).await;
}

#[tokio::test]
async fn commands_that_hang_while_pings_are_answered_cost_one_wait_a_breaker_period() {
    let redis = PrivateRedis::start().await;
    let store = open(&redis.url());
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let waits = waits(Duration::from_secs(2), async || store.set("a", b"2", LONG).await).await;
    println!(
        "writes that hang were waited for {} times in 2 s: {waits:?}",
        waits.len()
    );
    // Three; then one for each 100 ms at least; and three more after a ping that closes the breaker, each second.
    assert!(waits.len() <= 3 + 20 + 2 * 3, "{waits:?}");
    redis.command(&["CLIENT", "UNPAUSE"]).await;
    eventually(SOON, || answers(&store)).await;
}

#[tokio::test]
async fn a_node_that_becomes_a_replica_is_left_though_it_answers() {
    let (master, other) = (PrivateRedis::start().await, PrivateRedis::start().await);
    let store = open(&master.url());
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    master
        .command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()])
        .await;
    // By itself, without a command.
    eventually(SOON, async || store.state() == State::Down).await;
    assert!(matches!(store.get("a").await, Err(StoreError::Away)));
    master.command(&["REPLICAOF", "NO", "ONE"]).await;
    eventually(SOON, || answers(&store)).await;
}

#[tokio::test]
async fn one_late_answer_changes_nothing_and_three_in_a_row_open_the_breaker() {
    let redis = PrivateRedis::start().await;
    let tasks = Tasks::new(Service::UserApi);
    // What is answered is answered by then, on a busy machine too.
    let timeouts = Timeouts {
        response: Duration::from_millis(500),
        ..Timeouts::default()
    };
    let store = Store::open(&redis.url(), "faults", timeouts, &tasks).unwrap();
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    // Writes wait; reads, and the pings that a doubt leads to, are answered.
    redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;

    for _ in 0..2 {
        assert!(matches!(store.set("a", b"2", LONG).await, Err(StoreError::TimedOut)));
        assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    }
    for _ in 0..3 {
        assert_eq!(store.state(), State::Up);
        assert!(matches!(store.set("a", b"2", LONG).await, Err(StoreError::TimedOut)));
    }
    assert_eq!(store.state(), State::Down);
    assert!(matches!(store.get("a").await, Err(StoreError::Away)));

    redis.command(&["CLIENT", "UNPAUSE"]).await;
    // By itself, without a command.
    eventually(SOON, async || store.state() == State::Up).await;
    eventually(SOON, || answers(&store)).await;
}

#[tokio::test]
async fn a_connection_that_loses_an_answer_is_dropped_and_the_other_goes_on() {
    let redis = PrivateRedis::start().await;
    let way = FaultProxy::start(redis.url().trim_start_matches("redis://").to_owned()).await;
    let url = format!("redis://{}", way.address());
    // Long enough that a busy machine loses nothing.
    let timeouts = Timeouts {
        response: Duration::from_millis(200),
        connect: Duration::from_secs(1),
    };
    let store = Store::open(&url, "faults", timeouts, &Tasks::new(Service::UserApi)).unwrap();
    assert!(store.connected(SOON).await);
    eventually(SOON, || answers(&store)).await;
    for round in 0..3 {
        way.lose_answer_to(&format!("lost-{round}"));
        let call = Instant::now();
        let lost = store.set(&format!("lost-{round}"), b"1", LONG).await;
        assert!(matches!(lost, Err(StoreError::TimedOut)), "{lost:?}");
        assert!(call.elapsed() < AT_ONCE, "{:?}", call.elapsed());
        // What goes out on the silent connection before its ping has failed is lost too.
        let (mut failed, mut answered) = (0, 0);
        while answered < 100 {
            match store.get("a").await {
                Ok(_) => answered += 1,
                Err(_) => failed += 1,
            }
            assert!(failed <= 2, "after {answered} answers");
        }
        assert_eq!(store.state(), State::Up);
        println!("round {round}: {failed} more commands failed before the connection was dropped");
    }
}

#[tokio::test]
async fn a_flushed_server_still_knows_the_scripts() {
    let redis = PrivateRedis::start().await;
    let store = open(&redis.url());
    assert!(store.connected(SOON).await);
    eventually(SOON, async || store.put_if_newer("row", 1, b"x", LONG).await.is_ok()).await;
    redis.command(&["FLUSHALL"]).await;
    redis.command(&["SCRIPT", "FLUSH"]).await;
    eventually(SOON, async || store.put_if_newer("row", 1, b"x", LONG).await.is_ok()).await;
    assert!(store.get_versioned("row").await.unwrap().is_some());
}
