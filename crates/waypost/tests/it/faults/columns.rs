use std::time::Duration;

use super::for_a_while;
use super::load::{during, sign_up};
use super::tally::{messages_reached, mostly_done, settled};
use crate::stack::{Servers, Stack};

/// What a migration of the next version may do while this one runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_to_every_table_under_load_three_times_fails_and_delays_nothing() {
    let stack = Stack::start(Servers::shared()).await;
    stack.up().await;
    let tables = stack
        .texts(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables
             WHERE table_schema IN ('user_api', 'email_worker', 'notification_gateway') ORDER BY 1",
        )
        .await;
    assert!(tables.len() > 8, "{tables:?}");
    let adding = async {
        for round in 1..=3 {
            for_a_while(Duration::from_secs(1)).await;
            for table in &tables {
                let add = format!("ALTER TABLE {table} ADD COLUMN next_version_{round} text");
                stack.database().execute(&add).await;
            }
        }
        for_a_while(Duration::from_secs(1)).await;
    };
    let calls = during(adding, 20, sign_up(&stack.client, "column", Some(403))).await;
    mostly_done(&stack, &calls);
    settled(&stack, "a column added to every table, three times", &calls).await;
    messages_reached(&stack, "a column added to every table, three times").await;
    for service in ["email_worker", "notification_gateway"] {
        let late = format!(
            "SELECT count(*)::text FROM {service}.deliveries WHERE attempts <> 1 OR updated_at - created_at > 10000000"
        );
        assert_eq!(stack.texts(&late).await, ["0"], "{service}");
    }
    let seen: Vec<_> = [&stack.users, &stack.gateway, &stack.workers[0]]
        .iter()
        .filter(|process| process.output().contains("cached plan"))
        .map(|process| process.id())
        .collect();
    assert!(
        seen.is_empty(),
        "a statement names columns that it does not know: {seen:?}"
    );
}
