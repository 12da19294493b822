//! Who works on dead letters, and why: a line in the audit of each queue's service, before the first letter goes.

use anyhow::Context;
use clap::Args;
use common::Timestamp;
use common::operations::audit::{self, Action};
use common::operations::{Actor, Reason};
use serde_json::json;
use tracing::{Instrument, info_span};

use super::desk::Place;
use super::selection::Selection;

/// Who it is.
#[derive(Debug, Clone, Args)]
pub(super) struct Operator {
    /// Who you are, for the audit
    #[arg(long, value_name = "WHO", value_parser = operator)]
    operator: Option<Actor>,
}

/// What is done, as the audit calls it, and why.
pub(super) struct Deed<'a> {
    pub(super) name: &'static str,
    pub(super) reason: &'a Reason,
}

impl Operator {
    /// Writes a deed on one queue's letters into the audit, in a trace of its own. After an error the deed must not be done.
    pub(super) async fn write_down(&self, deed: Deed<'_>, place: &Place, selection: &Selection) -> anyhow::Result<()> {
        let actor = self.operator.clone().unwrap_or_else(Actor::at_the_command_line);
        let action = Action {
            name: deed.name,
            target: place.queue.name,
            reason: deed.reason,
            details: Some(json!({"which": selection.words()})),
        };
        let writing = async {
            let change = place.changes.begin().await?;
            audit::write(change.tx(), &actor, action, Timestamp::now()).await?;
            change.commit().await
        };
        let span = info_span!("write down", otel.name = deed.name);
        let written = writing.instrument(span).await;
        written.context("nothing is done: it can't be written down")
    }
}

/// Reads a reason off the command line.
pub(super) fn reason(text: &str) -> Result<Reason, String> {
    Reason::parse(text).map_err(|violation| violation.detail.to_owned())
}

fn operator(text: &str) -> Result<Actor, String> {
    Actor::named(text).ok_or_else(|| "has 1 to 100 characters on one line".to_owned())
}
