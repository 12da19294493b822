//! `waypost prune`: deletes what was kept for long enough, by hand; it needs the databases and nothing else.

use std::process::ExitCode;

use clap::Args;
use common::config::{Service, Settings};
use common::database::Database;
use common::process::chain;
use common::retention::{Pruned, Pruner};
use common::telemetry::Metrics;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::complete::complete;
use super::output::say;
use crate::migrate::tables_of as migrations_of;
use crate::operations::Operated;
use crate::retention::{page, tables_of};
use crate::settings::Programs;

/// What to do about rows that were kept for long enough.
#[derive(Debug, Args)]
pub struct Prune {
    /// Say what would go, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// Of this service alone
    #[arg(long)]
    service: Option<Operated>,
    /// Print which rows are kept how long with these settings, as Markdown, and do nothing
    #[arg(long, conflicts_with_all = ["dry_run", "json", "service"])]
    explain: bool,
}

/// `waypost prune`
pub fn prune(wanted: Prune) -> ExitCode {
    complete(async move {
        let programs = Programs::load()?;
        if wanted.explain {
            say(page(&programs.with_database()).trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        let only = wanted.service.map(Service::from);
        let mut is_done = true;
        for (service, settings) in programs.with_database() {
            if only.is_none_or(|only| only == service) {
                is_done &= of_service(service, settings, &wanted).await;
            }
        }
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Prunes one service, or looks what would go; false when it could not, and standard error says why.
#[expect(clippy::print_stderr, reason = "this is a command line")]
async fn of_service(service: Service, settings: &Settings, wanted: &Prune) -> bool {
    match done(service, settings, wanted).await {
        Ok(None) => true,
        Ok(Some(why_not)) => {
            eprintln!("{service}: {why_not}");
            false
        }
        Err(error) => {
            eprintln!("{service}: {}", chain(error.as_ref()));
            false
        }
    }
}

/// Prunes one service, or looks what would go; gives back why it was not done to the end, if it was not.
async fn done(service: Service, settings: &Settings, wanted: &Prune) -> anyhow::Result<Option<&'static str>> {
    let database = Database::connect(settings, service).await?;
    let names = migrations_of(service)
        .map(migrations::Migrations::names)
        .unwrap_or_default();
    database.check_migrated(&names).await?;
    let pruner = Pruner::new(settings, database.clone(), tables_of(service), Metrics::new(service));
    let now = pruner.now().await?;
    let mut why_not = None;
    if wanted.dry_run {
        for found in pruner.look(now).await? {
            let more = if found.is_cut { " or more" } else { "" };
            tell((service, found.table, found.rows), wanted, more);
        }
    } else {
        match pruner.run(now, &CancellationToken::new()).await? {
            Pruned::Done(gone) => {
                for (table, rows) in gone {
                    tell((service, table, rows), wanted, "");
                }
            }
            Pruned::Taken => why_not = Some("another process is at it"),
            Pruned::Lost => why_not = Some("the connection that held the lock broke: run it again"),
        }
    }
    database.close().await;
    Ok(why_not)
}

fn tell((service, table, rows): (Service, &str, u64), wanted: &Prune, more: &str) {
    if wanted.json {
        let line = json!({
            "service": service.to_string(), "table": table, "rows": rows, "more": !more.is_empty(), "dry_run": wanted.dry_run,
        });
        say(&line.to_string());
    } else {
        let would = if wanted.dry_run { "would delete" } else { "deleted" };
        say(&format!("{service}: {table}: {would} {rows}{more}"));
    }
}
