use serde_json::{Value, json};
use test_support::eventually;

use super::{Broker, envelope};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

const TRACE: &str = "2af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn the_log_lines_of_a_request_and_of_a_message_carry_their_trace_and_span() {
    let stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    stack
        .database()
        .execute("ALTER TABLE user_api.users RENAME TO away")
        .await;

    for (flag, trace) in [("01", TRACE.to_owned()), ("00", TRACE.replace('2', "3"))] {
        let traceparent = format!("00-{trace}-{CALLER}-{flag}");
        // More than once, maybe: the same failure is written once a second at most.
        eventually(PATIENCE, || async {
            let answer = stack
                .client
                .sign_up_with("ada@example.com", json!({}), Some(&traceparent))
                .await;
            let (status, problem) = answer.unwrap();
            assert!(status >= 500, "{problem}");
            assert_eq!(problem["trace_id"], trace, "the answer names the trace");
            stack.users.output().contains(&trace)
        })
        .await;
    }
    let broken = Broker::of(&stack).await;
    let mut headers = envelope("user.registered.v1");
    let of_message = TRACE.replace('2', "4");
    headers.push(("traceparent", format!("00-{of_message}-{CALLER}-01")));
    broken.publish("user.registered.v1", &headers, b"{}").await;
    broken.dead_letters("email-worker.events", 1).await;

    // A recorded request: the line stands in one of the trace's own spans.
    let line = line_of(&stack.users.output(), TRACE);
    assert_eq!(
        (&line["service"], &line["level"]),
        (&json!("user-api"), &json!("error")),
        "{line}"
    );
    let span_id = line["span_id"].as_str().unwrap().to_owned();
    let spans = stack
        .otlp
        .wait_for(TRACE, PATIENCE, |span| span.span_id == span_id)
        .await;
    assert!(spans.iter().all(|span| span.service == "user-api"));
    // One that is not recorded: the ids are there all the same.
    let unsampled = TRACE.replace('2', "3");
    assert_eq!(line_of(&stack.users.output(), &unsampled)["span_id"], CALLER);
    assert!(stack.otlp.trace(&unsampled).is_empty());
    // A message: in its process span.
    let worker = &stack.workers[0];
    eventually(PATIENCE, || async { worker.output().contains(&of_message) }).await;
    let line = line_of(&worker.output(), &of_message);
    let span_id = line["span_id"].as_str().unwrap().to_owned();
    let spans = stack
        .otlp
        .wait_for(&of_message, PATIENCE, |span| span.span_id == span_id)
        .await;
    let span = spans.iter().find(|span| span.span_id == span_id).unwrap();
    assert_eq!(span.name, "process email-worker.events");
    every_line_is_json(&[stack.users.output(), stack.gateway.output(), worker.output()]);
}

/// The first line of a trace.
fn line_of(output: &str, trace: &str) -> Value {
    let line = output.lines().find(|line| line.contains(trace));
    let line = line.unwrap_or_else(|| panic!("no line of {trace} in\n{output}"));
    serde_json::from_str(line).unwrap()
}

fn every_line_is_json(outputs: &[String]) {
    for line in outputs.iter().flat_map(|output| output.lines()) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "service", "target", "message"] {
            assert!(line[field].is_string(), "{field} is missing: {line}");
        }
    }
}
