use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_support::{Span, SpanKind, eventually};

use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn one_sign_up_becomes_an_email_a_notification_and_an_sms_in_one_trace() {
    let stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let (status, user) = stack
        .client
        .sign_up_with("ada@example.com", json!({"phone": "+15550100"}), Some(&traceparent))
        .await
        .unwrap();
    assert_eq!(status, 201, "{user}");

    let token = stack.client.log_in("ada@example.com").await;
    let notification = stack.client.stream(&token).await.next().await.unwrap();
    assert_eq!(notification["seq"], 1, "{notification}");

    let mails = stack.smtp.wait_for(1, PATIENCE).await;
    assert_eq!(mails[0].to, ["ada@example.com"]);

    let call = sms_to(&stack.sandbox, "%2B15550100").await;
    let sent = call["headers"]["traceparent"].as_str().unwrap_or_default();
    assert!(
        sent.contains(TRACE),
        "the provider was called under another trace: {sent}"
    );

    eventually(PATIENCE, || async {
        let list = stack.client.notifications(&token).await;
        let channels = list.first().map(|one| one["channels"].clone()).unwrap_or_default();
        channels["email"].is_string() && channels["email"] != "pending" && channels["sms"] == "accepted"
    })
    .await;

    let is_last =
        |span: &Span| span.service == "notification-gateway" && span.name == "process notification-gateway.events";
    eventually(PATIENCE, || async {
        stack.otlp.trace(TRACE).iter().filter(|span| is_last(span)).count() >= 2
    })
    .await;
    let tree = stack.otlp.tree(TRACE);
    let spans = stack
        .otlp
        .wait_for(TRACE, PATIENCE, |span| {
            span.service == "notification-gateway" && span.kind == SpanKind::Client
        })
        .await;
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    assert!(
        services.is_superset(&["user-api", "email-worker", "notification-gateway"].into()),
        "{tree}"
    );
    eventually(PATIENCE, || async {
        stack.otlp.orphans(TRACE, Some(CALLER)).is_empty()
    })
    .await;
    kinds_and_parents(&stack.otlp.trace(TRACE), &stack.otlp.tree(TRACE));
}

/// SERVER under the caller; PRODUCER under it; a CONSUMER of each worker under that; the call at the end.
fn kinds_and_parents(spans: &[Span], tree: &str) {
    let find = |service: &str, kind: SpanKind, under: Option<&Span>| {
        let under = under.map(|span| span.span_id.clone());
        spans
            .iter()
            .find(|span| {
                span.service == service
                    && span.kind == kind
                    && under.as_ref().is_none_or(|id| span.parent_id.as_ref() == Some(id))
            })
            .unwrap_or_else(|| panic!("no {kind:?} span of {service} where it should be:\n{tree}"))
    };
    let server = find("user-api", SpanKind::Server, None);
    assert_eq!(server.parent_id.as_deref(), Some(CALLER), "{tree}");
    assert_eq!(server.name, "POST /v1/users");
    let producer = find("user-api", SpanKind::Producer, Some(server));
    find("notification-gateway", SpanKind::Consumer, Some(producer));
    let consumer = find("email-worker", SpanKind::Consumer, Some(producer));
    let answer = find("email-worker", SpanKind::Producer, None);
    find("notification-gateway", SpanKind::Consumer, Some(answer));
    assert!(consumer.start >= producer.start, "{tree}");
}

/// The call that the sandbox's SMS provider got for this number.
async fn sms_to(sandbox: &str, number: &str) -> Value {
    let http = reqwest::Client::builder().build().unwrap();
    let url = format!("http://{sandbox}/sandbox/requests?provider=sms");
    eventually(PATIENCE, || async {
        let requests: Value = http.get(&url).send().await.ok()?.json().await.ok()?;
        let items = requests["items"].as_array().cloned().unwrap_or_default();
        items
            .into_iter()
            .find(|request| request["body"].to_string().contains(number))
    })
    .await
}
