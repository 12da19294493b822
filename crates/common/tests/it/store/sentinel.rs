//! The master goes away and the sentinel names another.

use std::time::{Duration, Instant};

use common::{
    config::Service,
    process::Tasks,
    store::{Store, StoreError, Timeouts},
};
use test_support::{PrivateRedis, PrivateSentinel, eventually};

const SOON: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_mins(1);
/// What no single call may take on a busy machine, far below any wait for a failover.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn open(sentinel: &PrivateSentinel) -> Store {
    let tasks = Tasks::new(Service::UserApi);
    let store = Store::open(&sentinel.url(), "failover", Timeouts::default(), &tasks).unwrap();
    assert!(store.connected(SOON).await);
    eventually(SOON, async || store.set("kept", b"1", LONG).await.is_ok()).await;
    store
}

/// What came of the calls that one caller made through a failover.
#[derive(Debug, Default)]
struct Tally {
    well: usize,
    away: usize,
    timed_out: usize,
    slowest: Duration,
}

/// Writes and reads until both have worked so many times in a row.
async fn load(store: &Store, tally: &mut Tally, rounds: usize) {
    let (began, mut in_a_row) = (Instant::now(), 0);
    while in_a_row < rounds {
        let call = Instant::now();
        let written = store.set("load", b"2", LONG).await;
        let read = store.get("kept").await;
        tally.slowest = tally.slowest.max(call.elapsed());
        in_a_row = if written.is_ok() && read.is_ok() {
            in_a_row + 1
        } else {
            0
        };
        for error in written.err().into_iter().chain(read.err()) {
            match error {
                StoreError::TimedOut => tally.timed_out += 1,
                StoreError::Away => tally.away += 1,
                StoreError::Refused(error) => panic!("{error:?}"),
            }
        }
        tally.well += usize::from(in_a_row > 0);
        assert!(began.elapsed() < SOON, "no failover: {tally:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Breaks the master under the load of eight callers, and prints what came of it.
async fn fail_over(store: &Store, sentinel: &mut PrivateSentinel, how: &str, fault: impl FnOnce(&mut PrivateRedis)) {
    let mut tallies: [Tally; 8] = Default::default();
    let well = tallies.iter_mut().map(|tally| load(store, tally, 20));
    futures_util::future::join_all(well).await;
    fault(&mut sentinel.nodes[0]);
    let began = Instant::now();
    let healed = async {
        // The first calls after the fault may still be answered.
        let callers = tallies.iter_mut().map(|tally| async {
            while tally.away + tally.timed_out == 0 {
                load(store, tally, 1).await;
            }
            load(store, tally, 1).await;
        });
        futures_util::future::join_all(callers).await;
        began.elapsed()
    };
    let (healed, switched) = tokio::join!(healed, switched(sentinel));
    println!("{how}: the sentinel switched after {switched:?}, all wrote again after {healed:?}");
    for tally in &tallies {
        println!("{how}: {tally:?}");
        assert!(tally.slowest < AT_ONCE, "{tally:?}");
    }
}

/// Waits until the replica has what was written.
async fn copied(sentinel: &PrivateSentinel) {
    eventually(SOON, async || {
        sentinel.nodes[1].command(&["GET", "failover:kept"]).await == "1\n"
    })
    .await;
}

#[tokio::test]
async fn a_killed_master_costs_no_waiting_and_the_next_one_is_written_to() {
    let mut sentinel = PrivateSentinel::start().await;
    let store = open(&sentinel).await;
    copied(&sentinel).await;
    fail_over(&store, &mut sentinel, "killed", |master| master.kill()).await;
    assert_eq!(store.get("kept").await.unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(sentinel.nodes[1].command(&["GET", "failover:load"]).await, "2\n");
}

#[tokio::test]
async fn a_frozen_master_is_left_for_good() {
    let mut sentinel = PrivateSentinel::start().await;
    let store = open(&sentinel).await;
    copied(&sentinel).await;
    fail_over(&store, &mut sentinel, "frozen", |master| master.freeze()).await;
    // It comes back, and takes itself for the master until the sentinel tells it otherwise.
    sentinel.nodes[0].thaw();
    store.set("after", b"3", LONG).await.unwrap();
    assert_eq!(sentinel.nodes[1].command(&["GET", "failover:after"]).await, "3\n");
}

#[tokio::test]
async fn a_failover_that_is_asked_for_is_followed_though_the_old_master_answers() {
    let sentinel = PrivateSentinel::start().await;
    let store = open(&sentinel).await;
    copied(&sentinel).await;
    sentinel.command(&["SENTINEL", "FAILOVER", "waypost"]).await;
    let began = Instant::now();
    let switched = switched(&sentinel).await;
    eventually(SOON, async || {
        let written = store.set("load", b"2", LONG).await.is_ok();
        written && sentinel.nodes[1].command(&["GET", "failover:load"]).await == "2\n"
    })
    .await;
    println!(
        "asked for: the sentinel switched after {switched:?}, writes follow after {:?}",
        began.elapsed()
    );
}

/// How long it takes until the sentinel calls the second node the master.
async fn switched(sentinel: &PrivateSentinel) -> Duration {
    let began = Instant::now();
    eventually(SOON, async || sentinel.master().await == sentinel.nodes[1].port()).await;
    began.elapsed()
}
