//! The journey in a real Jaeger, asked through its query API.
//!
//! Not part of `cargo test`: `make test-jaeger` runs it, over the binary that `JAEGER_BIN` names or the one that
//! `make jaeger` built.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "what was measured and shown is worth a look")]
#![expect(
    clippy::disallowed_methods,
    reason = "JAEGER_BIN is the test's own, and no setting of a service"
)]

#[path = "../it/client.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use more of it")]
mod client;
mod jaeger;
#[path = "../it/stack.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use more of it")]
mod stack;

use serde_json::json;
use test_support::{Folder, Port, eventually};

use crate::client::{Client, PATIENCE};
use crate::jaeger::{Jaeger, Span};
use crate::stack::{Servers, Stack, run};

const CALLER: &str = "b7ad6b7169203331";
const ACCOUNTS: &str = "user-api";
const WORKER: &str = "email-worker";
const GATEWAY: &str = "notification-gateway";

/// One sign-up with a phone number, until mail and SMS were taken.
async fn journey(client: &Client, trace: &str) {
    let traceparent = format!("00-{trace}-{CALLER}-01");
    let phone = json!({"phone": "+15550100"});
    let (status, user) = client
        .sign_up_with("ada@example.com", phone, Some(&traceparent))
        .await
        .unwrap();
    assert_eq!(status, 201, "{user}");
    let token = client.log_in("ada@example.com").await;
    eventually(PATIENCE, || async {
        let list = client.notifications(&token).await;
        let channels = list.first().map(|one| one["channels"].clone()).unwrap_or_default();
        channels["email"].is_string()
            && channels["email"] != "pending"
            && ["accepted", "delivered"].iter().any(|end| channels["sms"] == *end)
    })
    .await;
}

/// The trace that Jaeger shows has the three services, and each kind under its parent.
async fn shown_in(jaeger: &Jaeger, trace: &str, event_system: &str) {
    let whole = |spans: &[Span]| {
        let rounds = spans.iter().filter(|span| span.is(GATEWAY, "consumer")).count();
        rounds >= 2 && spans.iter().any(|span| span.is(GATEWAY, "client")) && orphans(spans).is_empty()
    };
    let spans = eventually(PATIENCE, || async {
        let spans = jaeger.trace(trace).await;
        whole(&spans).then_some(spans)
    })
    .await;
    let tree = jaeger::tree(&spans);
    println!("{tree}");
    let find = |service: &str, kind: &str, parent: &str| {
        let found = spans
            .iter()
            .find(|span| span.is(service, kind) && span.parent.as_deref() == Some(parent));
        found.unwrap_or_else(|| panic!("no {kind} span of {service} under {parent}:\n{tree}"))
    };
    let server = find(ACCOUNTS, "server", CALLER);
    assert_eq!(server.name, "POST /v1/users");
    let registered = find(ACCOUNTS, "producer", &server.id);
    assert_eq!(registered.name, "publish waypost.events");
    assert_eq!(registered.tags["messaging.system"], event_system);
    let mailed = find(WORKER, "consumer", &registered.id);
    assert_eq!(mailed.name, "process email-worker.events");
    let notified = find(GATEWAY, "consumer", &registered.id);
    assert_eq!(notified.name, "process notification-gateway.events");
    // What was done later, from a row, still hangs below the message that asked for it.
    let find_below = |service: &str, kind: &str, ancestor: &Span| {
        let mut found = spans.iter().filter(|span| span.is(service, kind));
        found
            .find(|span| is_below(&spans, span, ancestor))
            .unwrap_or_else(|| panic!("no {kind} span of {service} below {}:\n{tree}", ancestor.name))
    };
    let sent = find_below(WORKER, "producer", mailed);
    find(GATEWAY, "consumer", &sent.id);
    let call = find_below(GATEWAY, "client", notified);
    assert_eq!(call.tags["peer.service"], "sms");

    let services = jaeger.services().await;
    for service in [ACCOUNTS, WORKER, GATEWAY] {
        assert!(services.iter().any(|known| known == service), "{services:?}");
    }
}

fn is_below(spans: &[Span], span: &Span, ancestor: &Span) -> bool {
    let parent = |span: &&Span| spans.iter().find(|other| span.parent.as_ref() == Some(&other.id));
    std::iter::successors(Some(span), parent).any(|span| span.id == ancestor.id)
}

fn orphans(spans: &[Span]) -> Vec<&Span> {
    let known = |id: &str| id == CALLER || spans.iter().any(|span| span.id == id);
    spans
        .iter()
        .filter(|span| !span.parent.as_deref().is_some_and(known))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journey_over_three_processes_is_one_trace_in_jaeger() {
    const TRACE: &str = "8af7651916cd43dd8448eb211c80319c";
    let jaeger = Jaeger::start().await;
    let mut servers = Servers::shared();
    servers.settings = vec![("TELEMETRY__OTLP_ENDPOINT", jaeger.otlp_endpoint())];
    let stack = Stack::start(servers).await;
    stack.up().await;
    journey(&stack.client, TRACE).await;
    shown_in(&jaeger, TRACE, "rabbitmq").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journey_in_one_process_is_one_trace_in_jaeger() {
    const TRACE: &str = "9af7651916cd43dd8448eb211c80319c";
    let jaeger = Jaeger::start().await;
    let folder = Folder::create();
    let ports: Vec<Port> = (0..6).map(|_| Port::reserve()).collect();
    let at = |index: usize| format!("127.0.0.1:{}", ports[index].number());
    let environment = [
        ("PROFILE", "test".to_owned()),
        ("TELEMETRY__OTLP_ENDPOINT", jaeger.otlp_endpoint()),
        ("USER_API__HTTP__ADDRESS", at(0)),
        ("USER_API__OPERATIONS__ADDRESS", at(1)),
        ("NOTIFICATION_GATEWAY__HTTP__ADDRESS", at(2)),
        ("NOTIFICATION_GATEWAY__OPERATIONS__ADDRESS", at(3)),
        ("EMAIL_WORKER__OPERATIONS__ADDRESS", at(4)),
        ("PROVIDER_SANDBOX__HTTP__ADDRESS", at(5)),
    ]
    .map(|(key, value)| (format!("WAYPOST__{key}"), value));
    let process = run("waypost", &environment).arg("run").folder(folder.path()).spawn();
    process.writes("Waypost is up", PATIENCE).await;
    journey(&Client::new(&at(0), &at(2)), TRACE).await;
    shown_in(&jaeger, TRACE, "memory").await;
}
