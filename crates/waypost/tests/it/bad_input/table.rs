//! The table, sent to both public services again and again.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use tokio::time::sleep as for_a_while;

use super::case::{Case, To};
use super::tokens::Forge;
use super::wire::{Answer, DEADLINE, exchange};
use super::{bodies, hardly_grew, paths, text, tokens};
use crate::stack::{Servers, Stack, resident_kib};

/// How often the whole table is sent; what leaks a little each time shows.
const ROUNDS: usize = 12;
/// Requests in hand at a time.
const AT_ONCE: usize = 8;
/// Before a service that was too busy is asked again.
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_refused_as_documented_and_leaves_the_process_as_it_was() {
    let stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let (_, owner) = stack
        .client
        .sign_up_with("owner@example.com", json!({}), None)
        .await
        .unwrap();
    let id = owner["id"].as_str().unwrap();
    let token = stack.client.log_in("owner@example.com").await;
    let forge = Forge::with_keys_of(stack.database(), id, &token).await;
    let cases: Vec<Case> = [
        bodies::cases(),
        text::cases(),
        paths::cases(id, &token),
        tokens::cases(&forge),
    ]
    .into_iter()
    .flatten()
    .collect();
    let of = |to: To| cases.iter().filter(|case| case.to == to).count();
    println!(
        "cases: {} to user-api, {} to the gateway",
        of(To::Users),
        of(To::Gateway)
    );
    assert!(cases.len() >= 60);

    let before = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
    let mut after_first = before;
    let started = Instant::now();
    for round in 0..ROUNDS {
        send_all(&stack, &cases, round).await;
        if round == 0 {
            after_first = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
        }
    }
    let after = [resident_kib(&stack.users), resident_kib(&stack.gateway)];
    println!(
        "{} requests in {:.1?}; resident KiB of [user-api, gateway]: before {before:?}, after one round {after_first:?}, after {ROUNDS} rounds {after:?}",
        cases.len() * ROUNDS,
        started.elapsed()
    );
    hardly_grew(before, after);
}

/// Sends every case once; fails with all that were answered in another way than they should.
async fn send_all(stack: &Stack, cases: &[Case], round: usize) {
    let wrong: Vec<String> = stream::iter(cases.iter().enumerate())
        .map(|(index, case)| async move {
            let address = match case.to {
                To::Users => &stack.users_http,
                To::Gateway => &stack.gateway_http,
            };
            let answer = ask(address, &case.request(round * cases.len() + index)).await;
            let judged = case.judge(answer.as_ref());
            judged
                .err()
                .map(|wrong| format!("{:?}, {}: {wrong}", case.to, case.name))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "round {round}:\n{}", wrong.join("\n"));
}

/// Asks again while the service is too busy, which it may say to anything: 503 with `Retry-After`.
async fn ask(address: &str, request: &[u8]) -> Option<Answer> {
    let began = Instant::now();
    loop {
        let answer = exchange(address, request, DEADLINE).await;
        let is_busy = |answer: &Answer| answer.status == Some(503) && answer.header("retry-after").is_some();
        if !answer.as_ref().is_some_and(is_busy) || began.elapsed() > DEADLINE {
            return answer;
        }
        for_a_while(PAUSE).await;
    }
}
