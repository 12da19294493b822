use std::time::Duration;

use test_support::SpanKind;

use super::for_a_while;
use super::load::{Call, SignUp, during, sign_up};
use super::tally::settled;
use crate::client::{Met, PATIENCE};
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_fails_no_request_that_was_accepted_and_flushes_the_last_spans() {
    let mut stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    let load = sign_up(&stack.client, "stopped", None);
    let stop = async {
        stack.smtp.wait_for(20, PATIENCE).await;
        stack.stop().await;
    };
    let calls = during(stop, 40, load).await;
    // A service with too much to do says 503, and that is an answer.
    let answered = |call: &&Call<SignUp>| matches!(call.what.met, Met::Answer(201 | 503));
    let done = calls.iter().filter(answered).count();
    let refused = calls.iter().filter(|call| call.what.met == Met::Refused).count();
    // A connection that was waiting to be taken, or resting, when the service went: nobody read the request.
    let untaken: Vec<_> = calls
        .iter()
        .filter(|call| matches!(call.what.met, Met::Lost(_)))
        .map(|call| &call.what.email)
        .collect();
    let served: Vec<_> = stack
        .otlp
        .spans()
        .into_iter()
        .filter(|span| span.kind == SpanKind::Server && span.name == "POST /v1/users")
        .collect();
    println!(
        "asked {}, answered {done}, refused {refused}, never taken {}; server spans {}",
        calls.len(),
        untaken.len(),
        served.len()
    );
    // Each request that reached the service has a span, also one that was cut off: there must be an answer to each.
    assert_eq!(served.len(), done, "requests begun, and requests answered");
    assert_eq!(
        done + refused + untaken.len(),
        calls.len(),
        "an answer other than 201 and 503"
    );

    stack.start_again().await;
    let accounts = stack.texts("SELECT email FROM user_api.users").await;
    assert!(
        untaken.iter().all(|email| !accounts.contains(email)),
        "done without an answer: {untaken:?}"
    );
    settled(&stack, "SIGTERM under load", &calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_core_everything_works_and_ends_in_time() {
    let servers = Servers {
        core: Some("0"),
        ..Servers::shared()
    };
    let mut stack = Stack::start(servers).await;
    stack.up().await;
    let load = sign_up(&stack.client, "core", None);
    let calls = during(for_a_while(Duration::from_secs(2)), 10, load).await;
    settled(&stack, "one core", &calls).await;
    stack.stop().await;
}
