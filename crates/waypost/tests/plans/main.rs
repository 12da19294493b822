//! `make check-plans`: how PostgreSQL answers each hot statement when every table has a million rows.
//!
//! No statement is written down here. Waypost runs over tables that were filled before and is used as people use it,
//! and PostgreSQL's own `auto_explain` tells the plan of whatever was asked: what is judged is what the services send,
//! with the parameters and the prepared plans that they send it with. [`hot`] says which statements must have been
//! among them, and which faults are known.
//!
//! Not part of `cargo test`: filling the tables takes a minute.
#![expect(clippy::unwrap_used, reason = "a check that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "the plans are worth a look")]

#[path = "../it/client.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use more of it")]
mod client;
mod fill;
mod hot;
mod life;
mod report;

use std::time::Instant;

use test_support::{Plan, PrivatePostgres};

/// Plans into the log, of whoever connects after [`fill::tell_plans`]. The rest is for filling quickly: what is here
/// is thrown away, and the planner looks at none of it.
const SETTINGS: &[&str] = &[
    "shared_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=-1",
    "auto_explain.log_format=json",
    "auto_explain.log_verbose=on",
    "auto_explain.log_nested_statements=on",
    "autovacuum=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=512MB",
    "shared_buffers=512MB",
    "maintenance_work_mem=256MB",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_hot_statement_scans_or_sorts_a_table_of_a_million_rows() {
    let began = Instant::now();
    let postgres = PrivatePostgres::with(SETTINGS).await;
    let large = Box::pin(fill::fill(&postgres.url())).await;
    println!(
        "{} tables have a million rows each after {:.0?}",
        large.len(),
        began.elapsed()
    );
    life::live(&postgres).await;
    let plans = Plan::all_in(&postgres.log());
    let faults = report::judge(&plans, &large);
    println!("\n{} plans, {:.0?} in all", plans.len(), began.elapsed());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
