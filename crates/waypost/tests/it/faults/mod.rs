//! What breaks, under load, and what nobody may notice of it.
//!
//! Each test runs the real processes, breaks one thing that is its own, and ends in a tally: sent,
//! received, lost, doubled. What must not be lost or doubled is exact. How fast things were is printed and not
//! judged (`make test-faults` shows it); what must come at all has a deadline far from what a busy machine takes.

mod broker;
mod cluster;
mod columns;
mod failpoints;
mod load;
mod log_ins;
mod logs;
mod mail;
mod outbound;
mod overload;
mod own_trouble;
mod postgres;
mod provider;
mod redis;
mod replicas;
mod sentinel;
mod steps;
mod stop;
mod streams;
mod tally;
mod telemetry;
mod topology;
mod workers;

use std::time::Duration;

use tokio::time::sleep;

/// Lets the load go on for a while: the one thing that a fault test waits for by the clock.
async fn for_a_while(span: Duration) {
    sleep(span).await;
}
