use std::time::Duration;

use test_support::{Fault, FaultProxy, OtlpReceiver, Process};

use super::for_a_while;
use super::load::{Call, SignUp, during, sign_up, within};
use super::tally::{mostly_done, settled};
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_collector_that_hangs_slows_nothing_fills_no_log_and_holds_up_no_end() {
    let collector = OtlpReceiver::start();
    let proxy = FaultProxy::start(collector.endpoint().trim_start_matches("http://")).await;
    let servers = Servers::shared().set("TELEMETRY__OTLP_ENDPOINT", format!("http://{}", proxy.address()));
    let mut stack = Stack::start(servers).await;
    stack.up().await;
    let mut calls = phase(&stack, "heard").await;
    let lines = each(&stack, |process| process.output().lines().count());

    proxy.set(Fault::BlackHole).await;
    let unheard = phase(&stack, "unheard").await;
    let more = each(&stack, |process| process.output().lines().count());
    let warned = each(&stack, |process| process.output().matches("trace collector").count());
    for share in [50, 95] {
        let before = within(share, calls.iter().map(|call| call.took));
        let meanwhile = within(share, unheard.iter().map(|call| call.took));
        println!("sign-ups, {share}%: {before:?} with a collector, {meanwhile:?} with one that hangs");
    }
    println!("lines: {lines:?} before, {more:?} after, of these about the collector {warned:?}");
    for (before, after) in lines.iter().zip(more) {
        // A line for each of a hundred sign-ups, or for each lost batch, would be more.
        assert!(after - before <= 20, "{} lines in a few seconds", after - before);
    }
    assert!(warned.iter().all(|count| *count <= 1), "{warned:?}");
    calls.extend(unheard);
    settled(&stack, "trace collector hanging", &calls).await;

    stack.stop().await;
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
