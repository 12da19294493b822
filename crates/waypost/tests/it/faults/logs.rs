use std::time::Duration;

use test_support::{Stream, eventually};

use super::for_a_while;
use super::load::{during, sign_up};
use super::tally::{messages_reached, mostly_done, settled};
use crate::client::{PATIENCE, scrape};
use crate::stack::{Servers, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_reader_that_stalls_costs_log_lines_and_no_request_no_mail_and_no_end() {
    let servers = Servers {
        stalled: Some(Stream::Stderr),
        ..Servers::shared()
    };
    // All that there is to say: far more than may wait.
    let mut stack = Stack::start(servers.set("TELEMETRY__LOG_FILTER", "trace")).await;
    stack.up().await;
    let load = sign_up(&stack.client, "unread", Some(301));
    let calls = during(for_a_while(Duration::from_secs(4)), 15, load).await;
    mostly_done(&stack, &calls);
    settled(&stack, "log reader stalled", &calls).await;
    messages_reached(&stack, "log reader stalled").await;
    let lost = eventually(PATIENCE, || async {
        // Each scrape makes more lines.
        let lost = lost(&stack.users_operations, "waypost_log_lines_dropped_total");
        lost.await.filter(|lost| *lost > 0)
    })
    .await;
    println!("log lines lost by user-api: {lost} so far");

    // The reader is back for one of them; the others end with their lines unread.
    stack.users.read_on();
    stack.users.writes("log lines were lost", PATIENCE).await;
    stack.stop().await;
}

/// What a process has lost, by this metric.
pub(super) async fn lost(operations: &str, metric: &str) -> Option<u64> {
    let metrics = scrape(operations).await.ok()?;
    let line = metrics.lines().find(|line| line.starts_with(metric))?;
    line.rsplit_once(' ')?.1.parse().ok()
}
