//! `waypost dlq drop`: drops letters for good, after it was written down who does and why.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use common::messaging::Look;
use common::operations::Reason;

use super::audited::{Deed, Operator, reason};
use super::bar::Bar;
use super::desk::{Desk, Place};
use super::outcome::end;
use super::print::{line, say};
use super::selection::Selection;
use crate::commands::output::complain;

/// What the audit calls it.
const ACTION: &str = "dead_letters.drop";
/// How a command ends that was not told what to do.
const USAGE: u8 = 2;

/// Which to drop, and why.
#[derive(Debug, Args)]
pub struct Discard {
    /// Ids of messages
    #[arg(value_name = "ID")]
    messages: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Why, for the audit
    #[arg(long, value_parser = reason)]
    reason: Reason,
    #[command(flatten)]
    operator: Operator,
    /// Show which, and drop none
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// What a drop is doing.
struct Run<'a> {
    wanted: &'a Discard,
    selection: Selection,
    met: BTreeSet<String>,
    dropped: u64,
    bar: Bar,
}

pub(super) async fn discard(wanted: &Discard) -> anyhow::Result<ExitCode> {
    let selection = wanted.selection.with(None, &wanted.messages);
    if !selection.is_given() {
        complain(
            "say which dead letters to drop: by ids, or by --queue, --type, --letter-reason, --fingerprint, --since, --until",
        );
        return Ok(ExitCode::from(USAGE));
    }
    let desk = Desk::open(selection.queue.as_deref()).await?;
    let mut run = Run {
        wanted,
        selection,
        met: BTreeSet::new(),
        dropped: 0,
        bar: Bar::new(),
    };
    let mut done = Ok(());
    for place in &desk.places {
        done = run.place(place).await;
        if done.is_err() {
            break;
        }
    }
    run.bar.clear();
    if !wanted.json {
        let verb = if wanted.dry_run { "would be dropped" } else { "dropped" };
        say(&format!("{} {verb}", run.dropped));
    }
    desk.close().await;
    let all_met = done.is_err() || run.selection.all_met(&run.met);
    end(done, all_met)
}

impl Run<'_> {
    async fn place(&mut self, place: &Place) -> anyhow::Result<()> {
        let mut look = place.letters.open().await?;
        let done = self.go_through(place, &mut look).await;
        look.close().await;
        done
    }

    async fn go_through(&mut self, place: &Place, look: &mut Look) -> anyhow::Result<()> {
        let mut is_written_down = self.wanted.dry_run;
        let mut read = 0;
        loop {
            let letters = look.next().await?;
            if letters.is_empty() {
                return Ok(());
            }
            for letter in letters {
                read += 1;
                self.bar.show(read, look.total(), "read");
                if !self.selection.means(&letter.shown) {
                    continue;
                }
                if !is_written_down {
                    let deed = Deed {
                        name: ACTION,
                        reason: &self.wanted.reason,
                    };
                    let operator = &self.wanted.operator;
                    operator.write_down(deed, place, &self.selection).await?;
                    is_written_down = true;
                }
                let shown = letter.shown.clone();
                if self.wanted.dry_run || look.discard(letter).await? {
                    self.dropped += 1;
                    self.selection.note(&mut self.met, &shown);
                    self.bar.clear();
                    say(&if self.wanted.json {
                        serde_json::to_string(&shown)?
                    } else {
                        line(&shown)
                    });
                }
            }
        }
    }
}
