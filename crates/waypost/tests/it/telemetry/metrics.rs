use std::cell::RefCell;

use common::telemetry::{ALL_METRICS, Kind};
use serde_json::json;
use test_support::{Port, eventually};

use super::{Broker, arrived_everywhere, envelope};
use crate::client::{PATIENCE, scrape};
use crate::stack::{Servers, Stack};

/// Lines of `/metrics`, without the label `service`.
const USER_API: &[&str] = &[
    r#"http_server_request_duration_seconds_count{http_request_method="POST",http_route="/v1/users",http_response_status_code="201"} 1"#,
    "waypost_outbox_pending{} 0",
    "waypost_outbox_oldest_age_seconds{} 0",
    r#"waypost_messages_total{queue="waypost.events",outcome="published"} 1"#,
    "waypost_unrouted_messages{} 1",
    "waypost_cache_reads_total{",
    r#"waypost_store_command_duration_seconds_count{command="put_if_newer",outcome="ok"}"#,
    r#"waypost_database_connections{state="used"}"#,
    "waypost_database_connections_limit{} 16",
];
const GATEWAY: &[&str] = &[
    r#"http_client_request_duration_seconds_count{http_request_method="POST",http_route="sms",http_response_status_code="201"} 1"#,
    r#"waypost_breaker_state{destination="sms"} 0"#,
    r#"waypost_messages_total{queue="notification-gateway.events",outcome="ack"} 2"#,
    r#"waypost_database_connections{state="idle"}"#,
];
const EMAIL_WORKER: &[&str] = &[
    r#"waypost_messages_total{queue="email-worker.events",outcome="dead_letter"} 1"#,
    r#"waypost_deliveries_total{channel="email",status="accepted"} 1"#,
    r#"waypost_delivery_oldest_due_seconds{channel="email"} 0"#,
    r#"waypost_destination_refuses{destination="mail"} 0"#,
    r#"waypost_database_connections{state="idle"}"#,
];
const SERVICES: [&str; 3] = ["user-api", "notification-gateway", "email-worker"];

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_recorded_in_a_life_with_a_dead_letter() {
    let port = Port::reserve();
    let worker = format!("127.0.0.1:{}", port.number());
    let mut servers = Servers::shared();
    servers.settings = vec![
        ("EMAIL_WORKER__OPERATIONS__ADDRESS", worker.clone()),
        // The one write of the cache is to succeed, also on a busy machine.
        ("STORE__RESPONSE_TIMEOUT_MS", "5000".to_owned()),
    ];
    let stack = Stack::start(servers).await;
    stack.up().await;
    let broker = Broker::of(&stack).await;

    let phone = json!({"phone": "+15550100"});
    let (_, user) = stack.client.sign_up_with("ada@example.com", phone, None).await.unwrap();
    let token = stack.client.log_in("ada@example.com").await;
    assert_eq!(stack.client.read_user(user["id"].as_str().unwrap(), &token).await, 200);
    arrived_everywhere(&stack, &token).await;
    broker
        .publish("user.registered.v1", &envelope("user.registered.v1"), b"{}")
        .await;
    broker
        .publish("nobody.listens.v1", &envelope("nobody.listens.v1"), b"{}")
        .await;
    broker.dead_letters("email-worker.events", 1).await;

    let shown = [
        shows(&stack.users_operations, USER_API).await,
        shows(&stack.gateway_operations, GATEWAY).await,
        shows(&worker, EMAIL_WORKER).await,
    ]
    .concat();
    for metric in ALL_METRICS {
        let series = match metric.kind {
            Kind::Histogram => format!("\n{}_bucket{{", metric.name),
            Kind::Counter | Kind::Gauge => format!("\n{}{{", metric.name),
        };
        // No outlet to other systems is on here.
        let is_expected = !metric.name.starts_with("waypost_outlet_");
        let name = metric.name;
        assert_eq!(shown.contains(&series), is_expected, "{name} has series, or has none");
    }
}

/// Waits until all these lines begin a line there, and gives back the whole text, without the label `service`.
async fn shows(address: &str, lines: &[&str]) -> String {
    let last = RefCell::new(String::new());
    let all_there = eventually(PATIENCE * 2, || async {
        let text = scrape(address).await.unwrap();
        let text = SERVICES.iter().fold(text, |text, service| {
            let label = format!("service=\"{service}\"");
            text.replace(&format!("{label},"), "").replace(&label, "")
        });
        *last.borrow_mut() = text;
        lines.iter().all(|line| last.borrow().contains(&format!("\n{line}")))
    });
    let given_up = tokio::time::timeout(PATIENCE, all_there).await.is_err();
    let text = last.into_inner();
    if given_up {
        let missing: Vec<_> = lines
            .iter()
            .filter(|line| !text.contains(&format!("\n{line}")))
            .collect();
        panic!("{missing:#?} are not in\n{text}");
    }
    text
}
