use std::time::Duration;

use test_support::{Answer, PrivatePostgres, Stage, eventually};

use super::for_a_while;
use super::load::{during, sign_up};
use super::tally::{messages_reached, mostly_done, only, settled};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

/// Longer than a lease (30 s), and than half a one on top, which a worker waits before it takes what another had.
const OUTAGE: Duration = Duration::from_secs(42);

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_without_a_database_for_longer_than_a_lease_send_nothing_twice() {
    let mut postgres = PrivatePostgres::start().await;
    let servers = Servers::shared().set("DATABASE__URL", postgres.url());
    let mut stack = Stack::without_worker(servers).await;
    stack.up().await;
    let calls = during(
        for_a_while(Duration::from_secs(1)),
        12,
        sign_up(&stack.client, "outage", Some(401)),
    )
    .await;
    only(&stack, &calls, &[201]);
    let told = "SELECT count(*)::text FROM user_api.outbox";
    eventually(PATIENCE, || async { stack.texts(told).await == ["0"] }).await;
    stack
        .smtp
        .always(Stage::Text, Answer::say(250, "taken").after(Duration::from_secs(5)));
    stack.add_worker();
    stack.add_worker();
    let sending = "SELECT count(*)::text FROM email_worker.deliveries WHERE status = 'sending'";
    eventually(PATIENCE, || async {
        stack.texts(sending).await == [calls.len().to_string()]
    })
    .await;
    // All of them are between the text and the commit.
    postgres.kill();
    for_a_while(OUTAGE).await;
    postgres.start_and_wait().await;
    settled(&stack, "database away for longer than a lease, two workers", &calls).await;
    messages_reached(&stack, "database away for longer than a lease, two workers").await;
    let attempts = "SELECT DISTINCT attempts::text FROM email_worker.deliveries";
    assert_eq!(stack.texts(attempts).await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rolling_restarts_under_load_cost_no_attempt_and_no_delivery_waits_for_a_lease() {
    let mut stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    // So that some sends are under way at each stop.
    stack
        .smtp
        .always(Stage::Text, Answer::say(250, "taken").after(Duration::from_millis(200)));
    let load = sign_up(&stack.client, "rolling", Some(402));
    let restarts = async {
        for _ in 0..20 {
            for_a_while(Duration::from_millis(500)).await;
            stack.replace_worker().await;
            stack.restart_gateway().await;
        }
    };
    let calls = during(restarts, 20, load).await;
    mostly_done(&stack, &calls);
    settled(&stack, "20 rolling restarts", &calls).await;
    messages_reached(&stack, "20 rolling restarts").await;
    let every = "SELECT max(attempts)::text || ' ' || (max(updated_at - created_at) < 25000000) FROM";
    for service in ["email_worker", "notification_gateway"] {
        let cost = stack.texts(&format!("{every} {service}.deliveries")).await;
        assert_eq!(cost, ["1 true"], "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_not_answered_before_the_end_is_known_to_be_unknown() {
    let mut stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    stack
        .smtp
        .script(Stage::Text, [Answer::say(250, "taken").after(Duration::from_secs(9))]);
    stack.client.sign_up("slow@example.com").await.unwrap();
    let sending = "SELECT status FROM email_worker.deliveries";
    eventually(PATIENCE, || async { stack.texts(sending).await == ["sending"] }).await;
    for_a_while(Duration::from_millis(1500)).await;
    stack.stop().await;
    let row = "SELECT concat_ws(' ', status, attempts, last_error) FROM email_worker.deliveries";
    let unknown = "pending 1 the process ended before the answer";
    assert_eq!(stack.texts(row).await, [unknown]);
    let log = stack.workers[0].output();
    assert!(log.contains("a delivery may arrive twice"), "{log}");

    stack.start_again().await;
    let row = "SELECT concat_ws(' ', status, attempts) FROM email_worker.deliveries";
    eventually(PATIENCE, || async { stack.texts(row).await == ["accepted 2"] }).await;
    println!(
        "stopped between a mail and its answer: sent 1, received {}, lost 0, doubled {} (the stated window)",
        stack.smtp.mails().len(),
        stack.smtp.mails().len() - 1
    );
}
