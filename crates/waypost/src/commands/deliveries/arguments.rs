//! What the commands are told.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::commands::span::age;
use crate::operations::Asked;

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    /// Show those that are meant, the newest first; exit code 0 when a service answered
    List(List),
    /// Let deliveries that wait through at once, as probes of a relay that rests or of an open breaker; a hold stays
    RetryNow(Act),
    /// Take deliveries back that wait
    Cancel(Act),
    /// Send once more what has ended, as new deliveries; by a filter without --status what failed
    Resend(Act),
}

/// Which are shown.
#[derive(Debug, Args)]
pub struct List {
    /// Which
    #[command(flatten)]
    pub(super) which: Which,
    /// Show so many at most of each service
    #[arg(long)]
    pub(super) limit: Option<usize>,
    /// Whom to ask
    #[command(flatten)]
    pub(super) asked: Asked,
}

/// Which are meant, and why.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("meant").args(["ids", "recipient", "channel", "destination", "status", "delivery_reason", "older_than"]).required(true).multiple(true)))]
pub struct Act {
    /// Their ids, as `list` shows them
    #[arg(conflicts_with = "Which")]
    pub(super) ids: Vec<Uuid>,
    /// Which, where no ids are named
    #[command(flatten)]
    pub(super) which: Which,
    /// Why, for the audit
    #[arg(long)]
    pub(super) reason: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Who you are, for the audit
    #[arg(long)]
    pub(super) operator: Option<String>,
    /// Whom to ask
    #[command(flatten)]
    pub(super) asked: Asked,
}

/// Which deliveries are meant: those that are of each kind which is named.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// To this address, number or person
    #[arg(long)]
    recipient: Option<String>,
    /// Such as `email` or `sms`
    #[arg(long)]
    channel: Option<String>,
    /// Such as `mail`, `sms` or `sms.backup`
    #[arg(long)]
    destination: Option<String>,
    /// Such as `pending` or `failed`
    #[arg(long)]
    status: Option<String>,
    /// Why they stand as they do, such as `rejected`
    #[arg(long)]
    delivery_reason: Option<String>,
    /// Asked for so long ago at least, such as 90s, 30m, 2d
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<u64>,
}

impl Which {
    /// As the query of a list has it.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let texts = self.texts().map(|(name, value)| (name, value.to_owned()));
        texts
            .chain(self.older_than.map(|age| ("older_than_s", age.to_string())))
            .collect()
    }

    /// As the body of an action has it.
    pub(super) fn filter(&self) -> Value {
        let texts = self.texts().map(|(name, value)| (name.to_owned(), value.into()));
        let all: Map<_, _> = texts
            .chain(self.older_than.map(|age| ("older_than_s".to_owned(), age.into())))
            .collect();
        all.into()
    }

    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("recipient", &self.recipient),
            ("channel", &self.channel),
            ("destination", &self.destination),
            ("status", &self.status),
            ("reason", &self.delivery_reason),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}
