//! `waypost dlq list`: every letter that is looked for, then how many there are of each kind of failure.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use common::messaging::{DeadLetter, Look};

use super::bar::Bar;
use super::desk::{Desk, Place};
use super::groups::{Group, Groups};
use super::outcome::end;
use super::print::{head, line, say};
use super::selection::Selection;

/// Which to show, and how.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    selection: Selection,
    /// With these words in the reason or the last error
    #[arg(long, value_name = "WORDS")]
    reason: Option<String>,
    /// Show this many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Show the kinds of failure alone
    #[arg(long)]
    groups: bool,
    /// Print one JSON object a line: letters, or kinds of failure with --groups
    #[arg(long)]
    json: bool,
}

/// What a list is doing.
struct Listing<'a> {
    wanted: &'a List,
    selection: Selection,
    groups: Groups,
    met: BTreeSet<String>,
    shown: u64,
    bar: Bar,
}

pub(super) async fn list(wanted: &List) -> anyhow::Result<ExitCode> {
    let selection = wanted.selection.with(wanted.reason.as_ref(), &[]);
    let desk = Desk::open(selection.queue.as_deref()).await?;
    let mut listing = Listing {
        wanted,
        selection,
        groups: Groups::default(),
        met: BTreeSet::new(),
        shown: 0,
        bar: Bar::new(),
    };
    let mut listed = Ok(());
    for place in &desk.places {
        listed = listing.place(place).await;
        if listed.is_err() || listing.is_full() {
            break;
        }
    }
    listing.bar.clear();
    if listed.is_ok() {
        listing.tell_groups();
    }
    desk.close().await;
    let all_met = listing.is_full() || listing.selection.all_met(&listing.met);
    end(listed, all_met)
}

impl Listing<'_> {
    async fn place(&mut self, place: &Place) -> anyhow::Result<()> {
        let mut look = place.letters.open().await?;
        let listed = self.look(&mut look).await;
        look.close().await;
        listed
    }

    async fn look(&mut self, look: &mut Look) -> anyhow::Result<()> {
        let mut read = 0;
        loop {
            let letters = look.next().await?;
            if letters.is_empty() {
                return Ok(());
            }
            for letter in &letters {
                read += 1;
                self.bar.show(read, look.total(), "read");
                if self.selection.means(&letter.shown) && !self.letter(&letter.shown)? {
                    return Ok(());
                }
            }
        }
    }

    /// Shows one; false when it is the last.
    fn letter(&mut self, letter: &DeadLetter) -> anyhow::Result<bool> {
        if self.is_full() {
            return Ok(false);
        }
        self.shown += 1;
        self.groups.add(letter);
        self.selection.note(&mut self.met, letter);
        if self.wanted.groups {
            return Ok(!self.is_full());
        }
        self.bar.clear();
        let is_read = if self.wanted.json {
            say(&serde_json::to_string(letter)?)
        } else {
            (self.shown > 1 || say(&head())) && say(&line(letter))
        };
        Ok(is_read && !self.is_full())
    }

    fn is_full(&self) -> bool {
        self.wanted.limit.is_some_and(|limit| self.shown >= limit)
    }

    fn tell_groups(&mut self) {
        let is_json = self.wanted.json;
        if is_json && !self.wanted.groups {
            return;
        }
        let (groups, others) = std::mem::take(&mut self.groups).sorted();
        if !is_json {
            if !self.wanted.groups {
                say("");
            }
            say(&format!(
                "{} dead letters, {} kinds of failure",
                self.shown,
                groups.len()
            ));
            if !groups.is_empty() {
                say(&Group::head());
            }
        }
        for group in groups {
            let line = if is_json {
                serde_json::to_string(&group).ok()
            } else {
                Some(group.line())
            };
            if !line.is_some_and(|line| say(&line)) {
                return;
            }
        }
        if others > 0 && !is_json {
            say(&format!("{others:>8}  of other kinds"));
        }
    }
}
