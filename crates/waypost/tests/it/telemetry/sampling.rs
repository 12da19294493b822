//! The flag and the id of a trace at every hop, whatever share of traces is recorded.

use std::collections::{BTreeMap, BTreeSet};

use common::telemetry::TraceContext;
use futures_util::{StreamExt, stream};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;
use test_support::eventually;

use super::{Broker, arrived_everywhere, sms_calls};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

const CALLER: &str = "b7ad6b7169203331";
const PHONE: &str = "+15550100";
const SERVICES: [&str; 3] = ["user-api", "email-worker", "notification-gateway"];

/// A running system that records this share of traces, and keeps a copy of each outbox row.
async fn recording(ratio: &str) -> Stack {
    let mut servers = Servers::shared();
    servers.settings = vec![("TELEMETRY__SAMPLE_RATIO", ratio.to_owned())];
    let stack = Stack::start(servers).await;
    stack.up().await;
    // Rows of the outbox are gone as soon as the broker has them.
    for statement in [
        "CREATE TABLE public.outbox_copies (headers jsonb)",
        "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.outbox_copies VALUES (NEW.headers); RETURN NEW; END $$",
        "CREATE TRIGGER keep AFTER INSERT ON user_api.outbox FOR EACH ROW EXECUTE FUNCTION public.keep()",
    ] {
        stack.database().execute(statement).await;
    }
    stack
}

/// The first column of each row.
async fn column(stack: &Stack, select: &str) -> Vec<String> {
    let database = stack.database().connect().await;
    let statement = Statement::from_string(DbBackend::Postgres, select);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// One sign-up, and the `traceparent` seen at each hop of its way.
async fn hops(stack: &Stack, traceparent: Option<&str>) -> BTreeMap<String, TraceContext> {
    let broker = Broker::of(stack).await;
    let copies = broker.listen().await;
    let phone = json!({"phone": PHONE});
    let (status, user) = stack
        .client
        .sign_up_with("ada@example.com", phone, traceparent)
        .await
        .unwrap();
    assert_eq!(status, 201, "{user}");
    let token = stack.client.log_in("ada@example.com").await;
    arrived_everywhere(stack, &token).await;

    let mut found = BTreeMap::new();
    let mut keep = |hop: &str, traceparent: String| {
        let context = TraceContext::parse(Some(&traceparent), None);
        found.insert(
            hop.to_owned(),
            context.unwrap_or_else(|| panic!("{hop}: {traceparent}")),
        );
    };
    for headers in column(stack, "SELECT headers ->> 'traceparent' FROM public.outbox_copies").await {
        keep("outbox row", headers);
    }
    for event in broker.take(&copies, 2).await {
        let [kind, traceparent] = ["cloudEvents_type", "traceparent"].map(|name| event.headers[name].clone());
        keep(&format!("AMQP header of {kind}"), traceparent);
    }
    for (schema, channel) in [("email_worker", "email"), ("notification_gateway", "sms")] {
        let select = format!("SELECT traceparent FROM {schema}.deliveries WHERE channel = '{channel}'");
        keep(
            &format!("delivery row: {channel}"),
            column(stack, &select).await.remove(0),
        );
    }
    let call = sms_calls(stack).await.remove(0);
    keep(
        "provider's header",
        call["headers"]["traceparent"].as_str().unwrap().to_owned(),
    );
    assert_eq!(found.len(), 6, "{found:?}");
    found
}

/// One trace with one flag at every hop; gives back the trace's id.
fn one_trace(hops: &BTreeMap<String, TraceContext>, is_sampled: bool) -> String {
    let ids: BTreeSet<_> = hops.values().map(TraceContext::trace_id).collect();
    assert_eq!(ids.len(), 1, "{hops:#?}");
    assert!(hops.values().all(|hop| hop.is_sampled() == is_sampled), "{hops:#?}");
    ids.into_iter().next().unwrap().to_owned()
}

/// Waits until the trace is there as a whole.
async fn exported_whole(stack: &Stack, trace: &str, caller: Option<&str>) {
    eventually(PATIENCE, || async {
        let spans = stack.otlp.trace(trace);
        SERVICES
            .iter()
            .all(|service| spans.iter().any(|span| span.service == *service))
            && spans
                .iter()
                .filter(|span| span.name == "process notification-gateway.events")
                .count()
                // One each for mail and telephone; a message that came again, as on a busy machine, is processed again.
                >= 2
            && stack.otlp.orphans(trace, caller).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_0_percent_ids_travel_through_every_hop_and_nothing_is_exported() {
    let stack = recording("0").await;
    let before: BTreeSet<_> = stack.otlp.spans().into_iter().map(|span| span.trace_id).collect();
    assert!(before.is_empty(), "{before:?}");
    let trace = one_trace(&hops(&stack, None).await, false);

    // A caller that records is followed; its trace comes after anything that the first one would have sent.
    let recorded = "5af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{recorded}-{CALLER}-01");
    stack
        .client
        .sign_up_with("eve@example.com", json!({"phone": PHONE}), Some(&traceparent))
        .await
        .unwrap();
    exported_whole(&stack, recorded, Some(CALLER)).await;
    let others: Vec<_> = stack
        .otlp
        .spans()
        .into_iter()
        .filter(|span| span.trace_id != recorded)
        .collect();
    assert!(others.is_empty(), "{trace}: {others:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_0_percent_a_caller_that_records_is_followed_through_every_hop() {
    let stack = recording("0").await;
    let traceparent = format!("00-6af7651916cd43dd8448eb211c80319c-{CALLER}-01");
    let trace = one_trace(&hops(&stack, Some(&traceparent)).await, true);
    assert_eq!(trace, "6af7651916cd43dd8448eb211c80319c");
    exported_whole(&stack, &trace, Some(CALLER)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_100_percent_a_trace_is_recorded_at_every_hop_and_exported_whole() {
    let stack = recording("1").await;
    let trace = one_trace(&hops(&stack, None).await, true);
    exported_whole(&stack, &trace, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_100_percent_a_caller_that_does_not_record_is_followed_through_every_hop() {
    let stack = recording("1").await;
    let unwanted = "7af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{unwanted}-{CALLER}-00");
    assert_eq!(one_trace(&hops(&stack, Some(&traceparent)).await, false), unwanted);

    // A recorded trace comes after anything that the first one would have sent.
    stack.database().execute("TRUNCATE public.outbox_copies").await;
    stack
        .client
        .sign_up_with("eve@example.com", json!({"phone": PHONE}), None)
        .await
        .unwrap();
    let row = column(&stack, "SELECT headers ->> 'traceparent' FROM public.outbox_copies")
        .await
        .remove(0);
    let row = TraceContext::parse(Some(&row), None).unwrap();
    assert!(row.is_sampled());
    exported_whole(&stack, row.trace_id(), None).await;
    assert!(stack.otlp.trace(unwanted).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_10_percent_each_trace_is_exported_whole_or_not_at_all() {
    const PEOPLE: usize = 150;
    let stack = recording("0.1").await;
    let mut sign_ups = stream::iter(0..PEOPLE)
        .map(|n| {
            let (client, email) = (&stack.client, format!("person{n}@example.com"));
            async move {
                client
                    .sign_up_with(&email, json!({"phone": PHONE}), None)
                    .await
                    .unwrap()
                    .0
            }
        })
        .buffer_unordered(8);
    while let Some(status) = sign_ups.next().await {
        assert_eq!(status, 201);
    }
    let sent = "SELECT traceparent FROM email_worker.deliveries WHERE status = 'accepted'";
    let called = "SELECT traceparent FROM notification_gateway.deliveries WHERE channel = 'sms' AND status IN ('accepted', 'delivered')";
    let mut deliveries = Vec::new();
    for select in [sent, called] {
        let all = eventually(PATIENCE, || async {
            let rows = column(&stack, select).await;
            (rows.len() == PEOPLE).then_some(rows)
        });
        deliveries.extend(all.await);
    }

    let mut flags: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for delivery in &deliveries {
        let context = TraceContext::parse(Some(delivery), None).unwrap();
        flags
            .entry(context.trace_id().to_owned())
            .or_default()
            .insert(context.is_sampled());
    }
    assert_eq!(flags.len(), PEOPLE);
    assert!(
        flags.values().all(|flags| flags.len() == 1),
        "a flag changed on the way"
    );
    let (recorded, not): (Vec<_>, Vec<_>) = flags.iter().partition(|(_, flags)| flags.contains(&true));
    println!(
        "at 10%: {} of {PEOPLE} traces recorded, {} not",
        recorded.len(),
        not.len()
    );
    // 15 are expected; outside of 3 to 40 is less likely than one run in 10,000.
    assert!((3..=40).contains(&recorded.len()), "{}", recorded.len());
    for (trace, _) in recorded {
        exported_whole(&stack, trace, None).await;
    }
    for (trace, _) in not {
        assert!(stack.otlp.trace(trace).is_empty(), "{}", stack.otlp.tree(trace));
    }
}
