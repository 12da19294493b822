use std::time::Duration;

use test_support::{Fault, FaultProxy, OtlpReceiver, Process, eventually};

use super::for_a_while;
use super::load::{Call, SignUp, during, sign_up, within};
use super::logs::lost;
use super::tally::{mostly_done, settled};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_collector_that_is_away_or_hangs_slows_nothing_fills_no_log_and_holds_up_no_end() {
    let collector = OtlpReceiver::start();
    let proxy = FaultProxy::start(collector.endpoint().trim_start_matches("http://")).await;
    let servers = Servers::shared().set("TELEMETRY__OTLP_ENDPOINT", format!("http://{}", proxy.address()));
    let mut stack = Stack::start(servers).await;
    stack.up().await;
    let mut calls = phase(&stack, "heard").await;
    let heard: Vec<_> = calls.iter().map(|call| call.took).collect();

    for (fault, name) in [(Fault::Refuse, "away"), (Fault::BlackHole, "hanging")] {
        let lines = each(&stack, |process| process.output().lines().count());
        let lost_before = spans_lost(&stack).await.unwrap_or(0);
        proxy.set(fault).await;
        let unheard = phase(&stack, name).await;
        let more = each(&stack, |process| process.output().lines().count());
        let warned = each(&stack, |process| process.output().matches("trace collector").count());
        for share in [50, 95] {
            let before = within(share, heard.iter().copied());
            let meanwhile = within(share, unheard.iter().map(|call| call.took));
            println!("sign-ups, {share}%: {before:?} with a collector, {meanwhile:?} with one that is {name}");
        }
        println!("lines: {lines:?} before, {more:?} after, of these about the collector {warned:?}");
        for (before, after) in lines.iter().zip(more) {
            // A line for each of a hundred sign-ups, or for each lost batch, would be more.
            assert!(after - before <= 20, "{} lines in a few seconds", after - before);
        }
        assert!(warned.iter().all(|count| *count <= 1), "{warned:?}");
        let lost = eventually(PATIENCE, || async {
            spans_lost(&stack).await.filter(|lost| *lost > lost_before)
        });
        println!("spans lost by user-api, the collector {name}: {} so far", lost.await);
        calls.extend(unheard);
    }
    settled(&stack, "trace collector away and hanging", &calls).await;

    stack.stop().await;
}

/// Spans that user-api has lost.
async fn spans_lost(stack: &Stack) -> Option<u64> {
    lost(&stack.users_operations, "waypost_spans_dropped_total").await
}

async fn phase(stack: &Stack, name: &'static str) -> Vec<Call<SignUp>> {
    let load = sign_up(&stack.client, name, None);
    let calls = during(for_a_while(Duration::from_secs(7)), 15, load).await;
    mostly_done(stack, &calls);
    calls
}

fn each(stack: &Stack, look: impl Fn(&Process) -> usize) -> Vec<usize> {
    [&stack.users, &stack.gateway, &stack.workers[0]].map(look).to_vec()
}
