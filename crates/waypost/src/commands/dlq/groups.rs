//! Dead letters by what failed.

use std::collections::HashMap;

use common::messaging::DeadLetter;
use serde::Serialize;

use super::print::plain;

/// Kinds of failure that are told apart; a flood of made-up types must not fill the memory.
const MOST: usize = 1_000;

/// All letters that failed alike.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    fingerprint: String,
    count: u64,
    queue: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    cause: String,
    /// When the first and the last of them were set aside, as far as that is known.
    first: Option<String>,
    last: Option<String>,
    /// One of them.
    example: Option<String>,
}

/// Dead letters by what failed.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<String, Group>,
    /// Those of other kinds than the first thousand.
    others: u64,
}

impl Groups {
    pub(super) fn add(&mut self, letter: &DeadLetter) {
        if let Some(group) = self.groups.get_mut(&letter.fingerprint) {
            group.count += 1;
            if let Some(time) = &letter.time {
                // Texts of RFC 3339 in UTC sort as their instants do.
                let (first, last) = (group.first.take(), group.last.take());
                group.first = first.into_iter().chain([time.clone()]).min();
                group.last = last.into_iter().chain([time.clone()]).max();
            }
        } else if self.groups.len() == MOST {
            self.others += 1;
        } else {
            let group = Group {
                fingerprint: letter.fingerprint.clone(),
                count: 1,
                queue: letter.queue.clone(),
                kind: letter.kind.clone(),
                cause: letter.cause.clone(),
                first: letter.time.clone(),
                last: letter.time.clone(),
                example: letter.id.clone(),
            };
            self.groups.insert(group.fingerprint.clone(), group);
        }
    }

    /// All groups, the largest first, and how many letters belong to none of them.
    pub(super) fn sorted(self) -> (Vec<Group>, u64) {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_by(|one, other| (other.count, &one.fingerprint).cmp(&(one.count, &other.fingerprint)));
        (groups, self.others)
    }
}

impl Group {
    /// One line of the table, without control characters.
    pub(super) fn line(&self) -> String {
        let kind = self.kind.as_deref().unwrap_or("-");
        let last = self.last.as_deref().unwrap_or("-");
        let line = format!(
            "{:>8}  {:<12}  {:<28}  {kind:<22}  {last:<27}  {}",
            self.count, self.fingerprint, self.queue, self.cause
        );
        plain(&line)
    }

    /// What stands above the lines.
    pub(super) fn head() -> String {
        format!(
            "{:>8}  {:<12}  {:<28}  {:<22}  {:<27}  {}",
            "COUNT", "FINGERPRINT", "QUEUE", "TYPE", "LAST", "WHAT FAILED"
        )
    }
}
