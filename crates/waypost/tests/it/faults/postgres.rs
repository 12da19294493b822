use std::time::{Duration, Instant};

use test_support::PrivatePostgres;

use super::for_a_while;
use super::load::{during, none_waited, sign_up, within};
use super::tally::{mostly_done, only, settled};
use crate::client::{Met, PATIENCE};
use crate::stack::{Servers, Stack};

/// No request may take longer, whatever it met: the deadline of a write is 2.5 s, and a busy machine adds to it.
const NEVER: Duration = Duration::from_secs(10);
/// After the return of the database sign-ups work again by then.
const HEALED: Duration = Duration::from_secs(5);
/// Connections that others hold.
const IDLE: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn beside_300_idle_connections_of_others_nothing_is_lost_and_the_doctor_counts_what_is_left() {
    let began = Instant::now();
    let postgres = PrivatePostgres::with(&["max_connections=400", "superuser_reserved_connections=3"]).await;
    let idle = postgres.idle_connections(IDLE).await;
    let stack = Stack::start(Servers::shared().set("DATABASE__URL", postgres.url())).await;
    stack.up().await;
    let load = sign_up(&stack.client, "beside", None);
    let calls = during(for_a_while(Duration::from_secs(4)), 15, load).await;
    mostly_done(&stack, &calls);
    none_waited("300 idle connections", &calls.iter().collect::<Vec<_>>(), NEVER);

    let said = stack.doctor().await;
    let line = said.lines().find(|line| line.starts_with("ok    database of user-api"));
    let line = line.unwrap_or_else(|| panic!("no word of the database:\n{said}"));
    println!("{line}");
    let free = line
        .split(", ")
        .find_map(|part| part.strip_suffix(" of its 400 connections are free for services"));
    let free: usize = free
        .and_then(|free| free.parse().ok())
        .unwrap_or_else(|| panic!("no count: {line}"));
    // The services have some of their own.
    assert!(free > 0 && free < 400 - 3 - IDLE, "{free}");
    settled(&stack, "300 idle connections", &calls).await;
    drop(idle);
    println!("the whole test took {:?}", began.elapsed());
}

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
    let calls = during(kills, 15, sign_up(&stack.client, "restart", None)).await;
    only(&stack, &calls, &[201, 503]);

    let refused: Vec<_> = calls.iter().filter(|call| call.what.met == Met::Answer(503)).collect();
    let [half, most] = [50, 95].map(|share| within(share, refused.iter().map(|call| call.took)));
    println!(
        "database killed twice: {} refused, half of them within {half:?}, 95% within {most:?}",
        refused.len()
    );
    none_waited("database killed twice", &calls.iter().collect::<Vec<_>>(), NEVER);
    for back in back {
        let healed = back + HEALED..back + HEALED + Duration::from_secs(2);
        let late = calls.iter().filter(|call| healed.contains(&call.began));
        let (done, refused): (Vec<_>, Vec<_>) = late.partition(|call| call.what.is_done());
        println!(
            "{HEALED:?} after the database was back: {} done, {} refused",
            done.len(),
            refused.len()
        );
        // A machine with too much to do may turn some away; a database that is away has all of them turned away.
        assert!(!done.is_empty(), "still refused {HEALED:?} after the database was back");
    }
    settled(&stack, "database killed twice", &calls).await;
}
