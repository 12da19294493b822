use std::time::Duration;

use serde_json::{Value, json};
use test_support::{Span, SpanKind, eventually};

use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
        channels["email"].is_string()
            && channels["email"] != "pending"
            && ["accepted", "delivered"].iter().any(|end| channels["sms"] == *end)
    })
    .await;

    // Each process exports once a second: the trace is whole when the last of them has.
    let whole = tokio::time::timeout(PATIENCE, async {
        while is_whole(&stack).is_err() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    let whole = whole.await.is_ok();
    assert!(whole, "{:?}\n{}", is_whole(&stack), stack.otlp.tree(TRACE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_phone_number_reaches_the_copy_of_the_gateway() {
    let stack = Stack::without_worker(Servers::shared()).await;
    stack.up().await;
    let more = json!({"phone": "+15550100", "time_zone": "Europe/London"});
    let (status, user) = stack.client.sign_up_with("ada@example.com", more, None).await.unwrap();
    assert_eq!(status, 201, "{user}");
    let id = user["id"].as_str().unwrap();
    let token = stack.client.log_in("ada@example.com").await;
    let copy = async |expected: &str| {
        let query = format!(
            "SELECT concat_ws(' ', version, name, coalesce(phone, '-'), coalesce(time_zone, '-'))
             FROM notification_gateway.recipients WHERE user_id = '{id}'"
        );
        eventually(PATIENCE, || async { stack.texts(&query).await == [expected] }).await;
    };
    copy("1 Ada +15550100 Europe/London").await;

    let patch = json!({"phone": "+15550200", "time_zone": null});
    let (status, changed) = stack.client.change_user(id, &token, &patch).await;
    assert_eq!((status, &changed["phone"]), (200, &json!("+15550200")), "{changed}");
    copy("2 Ada +15550200 -").await;

    let (status, changed) = stack.client.change_user(id, &token, &json!({"phone": null})).await;
    assert_eq!((status, &changed["version"]), (200, &json!(3)), "{changed}");
    copy("3 Ada - -").await;
}

/// The statements of a sign-up: of the request, of each worker's intake, and of what came of the mail and the SMS.
const STATEMENTS: [(&str, &[&str]); 6] = [
    ("POST /v1/users", &["INSERT users INSERT outbox"]),
    (
        "process email-worker.events",
        &["BEGIN", "INSERT inbox", "INSERT deliveries", "COMMIT"],
    ),
    (
        "deliver email",
        &[
            "BEGIN",
            "UPDATE deliveries",
            "INSERT delivery_attempts",
            "INSERT outbox",
            "COMMIT",
        ],
    ),
    (
        "process notification-gateway.events",
        &[
            "BEGIN",
            "INSERT inbox",
            "INSERT recipients",
            "SELECT notifications",
            "UPDATE recipients",
            "INSERT deliveries",
            "INSERT deliveries",
            "INSERT notifications",
            "COMMIT",
        ],
    ),
    (
        "deliver sms",
        &["BEGIN", "UPDATE deliveries", "INSERT delivery_attempts", "COMMIT"],
    ),
    // The mail was sent.
    (
        "process notification-gateway.events",
        &["BEGIN", "INSERT inbox", "INSERT deliveries", "COMMIT"],
    ),
];

/// The spans of statements right below a span, in the order of their beginnings.
fn statements_below<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a str> {
    let is_below = |span: &&Span| {
        span.attributes.contains_key("db.system.name") && span.parent_id.as_ref() == Some(&parent.span_id)
    };
    spans.iter().filter(is_below).map(|span| span.name.as_str()).collect()
}

/// SERVER under the caller; PRODUCER under it; a CONSUMER of each worker under that; the answer's way back;
/// the call to the provider; each statement; and no span whose parent is missing.
fn is_whole(stack: &Stack) -> Result<(), String> {
    let spans = stack.otlp.trace(TRACE);
    let find = |service: &str, kind: SpanKind, under: Option<&Span>| {
        let under = under.map(|span| span.span_id.as_str());
        let fits = |span: &&Span| {
            span.service == service && span.kind == kind && (under.is_none() || span.parent_id.as_deref() == under)
        };
        spans
            .iter()
            .find(fits)
            .ok_or_else(|| format!("no {kind:?} span of {service} where it should be"))
    };
    let server = find("user-api", SpanKind::Server, None)?;
    if server.parent_id.as_deref() != Some(CALLER) || server.name != "POST /v1/users" {
        return Err(format!("the SERVER span is not the caller's child: {server:?}"));
    }
    let producer = find("user-api", SpanKind::Producer, Some(server))?;
    find("notification-gateway", SpanKind::Consumer, Some(producer))?;
    find("email-worker", SpanKind::Consumer, Some(producer))?;
    let answer = find("email-worker", SpanKind::Producer, None)?;
    find("notification-gateway", SpanKind::Consumer, Some(answer))?;
    let is_call = |span: &Span| span.service == "notification-gateway" && span.name == "POST";
    if !spans.iter().any(is_call) {
        return Err("the provider was not called".to_owned());
    }
    for (parent, statements) in STATEMENTS {
        let mut parents = spans.iter().filter(|span| span.name == parent);
        if !parents.any(|parent| statements_below(&spans, parent) == statements) {
            return Err(format!("{parent} lacks some of {statements:?}"));
        }
    }
    let orphans = stack.otlp.orphans(TRACE, Some(CALLER));
    if orphans.is_empty() {
        Ok(())
    } else {
        Err(format!("spans without their parent: {orphans:?}"))
    }
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
