use std::time::{Duration, Instant};

use test_support::PrivatePostgres;

use super::for_a_while;
use super::load::{during, sign_up, within};
use super::tally::{only, settled};
use crate::client::{Met, PATIENCE};
use crate::stack::{Servers, Stack};

/// Writes that can't be done say so by then: the pool's second, and some time for the answer.
const FAST: Duration = Duration::from_millis(1500);
/// No request may take longer, whatever it met: the deadline of a write is 2.5 s.
const NEVER: Duration = Duration::from_millis(3500);
/// After the return of the database every sign-up works again by then.
const HEALED: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_killed_under_load_gives_fast_refusals_heals_and_leaves_nothing_half_written() {
    let mut postgres = PrivatePostgres::start().await;
    let stack = Stack::start(Servers::shared().set("DATABASE__URL", postgres.url())).await;
    stack.up().await;
    let mut back = Vec::new();
    let kills = async {
        stack.smtp.wait_for(10, PATIENCE).await;
        for _ in 0..2 {
            for_a_while(Duration::from_secs(2)).await;
            postgres.kill();
            for_a_while(Duration::from_secs(4)).await;
            postgres.start_and_wait().await;
            back.push(Instant::now());
            for_a_while(HEALED + Duration::from_secs(2)).await;
        }
    };
    let calls = during(kills, 25, sign_up(&stack.client, "restart", None)).await;
    only(&stack, &calls, &[201, 503]);

    let refused: Vec<_> = calls.iter().filter(|call| call.what.met == Met::Answer(503)).collect();
    let slowest = calls.iter().map(|call| call.took).max().unwrap();
    let [half, most] = [50, 95].map(|share| within(share, refused.iter().map(|call| call.took)));
    println!(
        "database killed twice: {} refused, half of them within {half:?}, 95% within {most:?}; the slowest of all took {slowest:?}",
        refused.len()
    );
    assert!(most < FAST && slowest < NEVER, "{most:?}, {slowest:?}");
    for back in back {
        let late = refused
            .iter()
            .filter(|call| (back + HEALED..back + HEALED + Duration::from_secs(2)).contains(&call.began));
        assert_eq!(late.count(), 0, "still refused {HEALED:?} after the database was back");
    }
    settled(&stack, "database killed twice", &calls).await;
}
