use std::time::{Duration, Instant};

use test_support::{AmqpClient, PrivatePostgres, amqp_url, eventually};

use super::for_a_while;
use super::load::{during, sign_up};
use super::tally::{messages_reached, mostly_done, settled};
use crate::client::PATIENCE;
use crate::stack::{Servers, Stack};

/// Several times the stack's ladder, which is 1.2 s.
const TROUBLE: Duration = Duration::from_secs(4);
/// What both workers need before anything else.
const INBOXES: [&str; 2] = ["email_worker.inbox", "notification_gateway.inbox"];

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_the_workers_databases_for_longer_than_the_ladder_sets_nothing_aside() {
    let mut postgres = PrivatePostgres::start().await;
    let stack = Stack::start(Servers::shared().set("DATABASE__URL", postgres.url())).await;
    stack.up().await;
    let trouble = async {
        stack.smtp.wait_for(10, PATIENCE).await;
        // What they can't take in: a right that was lost and a table that is away look the same to them.
        for inbox in INBOXES {
            postgres.execute(&format!("ALTER TABLE {inbox} RENAME TO hidden")).await;
        }
        for_a_while(TROUBLE).await;
    };
    let calls = during(trouble, 25, sign_up(&stack.client, "trouble", Some(303))).await;
    mostly_done(&stack, &calls);
    // With all of that in their queues, the database goes away as well.
    postgres.kill();
    for_a_while(TROUBLE).await;
    postgres.start_and_wait().await;
    for_a_while(TROUBLE).await;
    nothing_was_set_aside(&stack).await;
    let at_cure = stack.smtp.mails().len();

    for inbox in INBOXES {
        let (schema, table) = inbox.split_once('.').unwrap();
        postgres
            .execute(&format!("ALTER TABLE {schema}.hidden RENAME TO {table}"))
            .await;
    }
    let cured = Instant::now();
    eventually(PATIENCE * 2, || async { stack.smtp.mails().len() >= calls.len() }).await;
    println!(
        "workers' databases in trouble: {at_cure} mails before the cure, all {} within {:?} after it",
        calls.len(),
        cured.elapsed()
    );
    settled(&stack, "workers' databases in trouble", &calls).await;
    messages_reached(&stack, "workers' databases in trouble").await;
    nothing_was_set_aside(&stack).await;
}

async fn nothing_was_set_aside(stack: &Stack) {
    let broker = AmqpClient::connect(&amqp_url()).await;
    for queue in ["email-worker.events", "notification-gateway.events"] {
        let dead = broker.depth(&format!("{}.{queue}.dead", stack.namespace())).await;
        assert_eq!(dead, 0, "dead letters of {queue}");
    }
    broker.close().await;
}
