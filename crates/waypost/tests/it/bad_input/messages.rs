//! Messages that no service writes: each ends in the dead letters with its reason, and the rest flows.

use std::collections::BTreeMap;

use test_support::{AmqpClient, AmqpLetter, SpanKind, eventually};
use uuid::Uuid;

use super::hardly_grew;
use super::poison::{CASE, bodies, envelopes, registered, shapes, values};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack, resident_kib};

const TYPE: &str = "user.registered.v1";
const WORK: [&str; 2] = ["email-worker.events", "notification-gateway.events"];
/// How often each bad message is sent.
const TIMES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_end_in_the_dead_letters_with_a_reason_and_the_rest_flows() {
    let servers = Servers::shared();
    let broker = AmqpClient::connect(&servers.amqp).await;
    let stack = Stack::start(servers).await;
    stack.up().await;
    let events = format!("{}.waypost.events", stack.namespace());
    let cases: Vec<_> = [envelopes(), values(), bodies(), shapes()]
        .into_iter()
        .flatten()
        .collect();
    let resident = || [resident_kib(&stack.workers[0]), resident_kib(&stack.gateway)];
    let mut before = resident();
    for time in 0..TIMES {
        for (name, _, message) in &cases {
            let mut message = message.clone();
            message.headers.insert(CASE.to_owned(), name.as_str().into());
            broker.publish(&events, TYPE, &message).await;
        }
        let address = format!("flows{time}@example.com");
        assert_eq!(stack.client.sign_up(&address).await.unwrap().0, 201);
        if time == 0 {
            // The first large bodies fill what the allocator keeps; what grows after them would grow for ever.
            stack.smtp.wait_for(1, PATIENCE).await;
            before = resident();
        }
    }

    let sent = cases.len() * TIMES;
    for work in WORK {
        let work = format!("{}.{work}", stack.namespace());
        let dead = format!("{work}.dead");
        eventually(PATIENCE, || async {
            broker.depth(&dead).await as usize >= sent && broker.depth(&work).await == 0
        })
        .await;
        let letters = broker.take(&dead).await;
        let reasons = reasons(&letters);
        let (kinds, found) = (cases.len(), letters.len());
        println!("{work}: sent {sent} bad ones of {kinds} kinds, dead letters {found}");
        assert_eq!(letters.len(), sent);
        for (name, reason, _) in &cases {
            let found = reasons.get(name).map(Vec::as_slice).unwrap_or_default();
            assert_eq!(found.len(), TIMES, "{name}: {found:?}");
            assert!(found.iter().all(|text| text.contains(reason)), "{name}: {found:?}");
        }
    }
    let mails = stack.smtp.wait_for(TIMES, PATIENCE).await;
    let token = stack.client.log_in("flows0@example.com").await;
    eventually(PATIENCE, || async {
        !stack.client.notifications(&token).await.is_empty()
    })
    .await;
    let after = resident();
    println!(
        "{} good ones between them, all mailed; resident KiB of [email-worker, gateway]: {before:?} after the first of each, {after:?} after all",
        mails.len()
    );
    hardly_grew(before, after);
    assert_eq!(stack.smtp.per_recipient().len(), TIMES);
    assert_eq!(mails.len(), TIMES, "a mail too many");
    broker.close().await;
}

/// Reasons by the case that they belong to; each letter must carry a trace that can be followed.
fn reasons(letters: &[AmqpLetter]) -> BTreeMap<String, Vec<String>> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in letters {
        let text = |name: &str| letter.headers.get(name).cloned().unwrap_or_default();
        assert!(is_valid(&text("traceparent")), "no trace: {:?}", letter.headers.keys());
        reasons.entry(text(CASE)).or_default().push(text("waypost-reason"));
    }
    reasons
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_binds_is_kept_to_be_seen() {
    let servers = Servers::shared();
    let broker = AmqpClient::connect(&servers.amqp).await;
    let stack = Stack::without_worker(servers).await;
    stack.up().await;
    let events = format!("{}.waypost.events", stack.namespace());
    for key in ["user.registered.v2", "user.exploded.v1", "", "#", "*.*.*"] {
        broker.publish(&events, key, &registered("nobody@example.com").1).await;
    }
    let unrouted = format!("{}.waypost.unrouted", stack.namespace());
    eventually(PATIENCE, || async { broker.depth(&unrouted).await == 5 }).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_traceparent_begins_a_new_trace() {
    const GIVEN: &str = "0af7651916cd43dd8448eb211c80319c";
    let servers = Servers::shared();
    let broker = AmqpClient::connect(&servers.amqp).await;
    let stack = Stack::start(servers).await;
    stack.up().await;
    let events = format!("{}.waypost.events", stack.namespace());
    let bad = [
        "garbage".to_owned(),
        String::new(),
        format!("ff-{GIVEN}-b7ad6b7169203331-01"),
        format!("00-{GIVEN}-0000000000000000-01"),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-{}-b7ad6b7169203331-01", GIVEN.to_uppercase()),
        format!("00-{GIVEN}-b7ad6b7169203331-01-more"),
        format!("00-{GIVEN}-b7ad6b7169203331"),
        format!("00-{GIVEN}-b7ad6b7169203331-01").repeat(500),
        "\0\r\n\u{202e}".to_owned(),
    ];
    for (number, traceparent) in bad.iter().enumerate() {
        let (id, mut message) = registered(&format!("trace{number}@example.com"));
        message
            .headers
            .insert("traceparent".to_owned(), traceparent.as_str().into());
        broker.publish(&events, TYPE, &message).await;
        let spans = eventually(PATIENCE, || async { processed(&stack, id) }).await;
        for (trace, parent) in &spans {
            assert!(parent.is_none() && trace != GIVEN, "{traceparent:?} was continued");
        }
    }
    println!("{} bad traceparents, each in a new trace of each worker", bad.len());
    assert_eq!(stack.smtp.wait_for(bad.len(), PATIENCE).await.len(), bad.len());
    broker.close().await;
}

/// Trace and parent of the spans that both workers made for a message, once both are there.
fn processed(stack: &Stack, id: Uuid) -> Option<Vec<(String, Option<String>)>> {
    let id = id.to_string();
    let spans = stack.otlp.spans().into_iter();
    let found: Vec<_> = spans
        .filter(|span| span.kind == SpanKind::Consumer && span.attributes.get("messaging.message.id") == Some(&id))
        .map(|span| (span.trace_id, span.parent_id))
        .collect();
    (found.len() >= WORK.len()).then_some(found)
}

fn is_valid(traceparent: &str) -> bool {
    let parts: Vec<&str> = traceparent.split('-').collect();
    parts.len() == 4
        && parts[0] == "00"
        && parts[1].len() == 32
        && parts[1].bytes().all(|digit| digit.is_ascii_hexdigit())
        && parts[1] != "0".repeat(32)
}
