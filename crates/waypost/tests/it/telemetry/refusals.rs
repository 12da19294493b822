//! What refused a request stands in its span.

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{PASSWORD, PATIENCE};
use crate::stack::{Servers, Stack};

const READ: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
/// More at a time than one place lets in.
const LOG_INS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_a_request_that_is_refused_says_which_limit_refused_it() {
    let servers = Servers::shared()
        .set("LIMITS__READ__RATE", "1")
        .set("LIMITS__READ__BURST", "1")
        // A passwords' lane has an eighth of it.
        .set("OVERLOAD__MOST", "16")
        // Long enough that they meet.
        .set("ACCOUNTS__ARGON2__MEMORY_KIB", "19456");
    let stack = Stack::start(servers).await;
    stack.up().await;
    let (_, user) = stack.client.sign_up("ada@example.com").await.unwrap();
    let token = stack.client.log_in("ada@example.com").await;
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let users = stack.client.users();

    let account = format!("{users}/v1/users/{}", user["id"].as_str().unwrap());
    let read = || {
        let request = http.get(&account).bearer_auth(&token);
        request.header("traceparent", traceparent(READ)).send()
    };
    let statuses = [read().await.unwrap().status(), read().await.unwrap().status()];
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 429]);
    let refused = stack.otlp.wait_for(READ, PATIENCE, |span| {
        span.attributes.get("waypost.limit.refused").map(String::as_str) == Some("read")
    });
    let refused = refused.await;
    let status = |span: &test_support::Span| span.attributes.get("http.response.status_code").cloned();
    assert!(refused.iter().any(|span| status(span).as_deref() == Some("429")));

    let log_ins = join_all((0..LOG_INS).map(|n| {
        let request = http.post(format!("{users}/v1/sessions"));
        let request = request.header("traceparent", traceparent(&trace(n)));
        let request = request.json(&json!({"email": "ada@example.com", "password": PASSWORD}));
        async move { (n, request.send().await.unwrap().status()) }
    }));
    let turned_away = log_ins.await.into_iter().find(|(_, status)| *status == 503);
    let (number, _) = turned_away.expect("one of so many at a time is turned away");
    let its_trace = trace(number);
    let shed = stack.otlp.wait_for(&its_trace, PATIENCE, |span| {
        span.attributes.get("waypost.shed.priority").map(String::as_str) == Some("normal")
    });
    shed.await;
}

fn traceparent(trace: &str) -> String {
    format!("00-{trace}-{CALLER}-01")
}

fn trace(number: usize) -> String {
    format!("{:032x}", number + 1)
}
