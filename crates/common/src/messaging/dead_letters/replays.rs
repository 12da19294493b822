//! The replays of one command: which letters it put back, and what comes of each.

use std::collections::{HashMap, HashSet};
use std::fmt;

use uuid::Uuid;

use super::effect::{Effect, Sent, Told};
use super::letter::Letter;
use super::look::Look;
use crate::messaging::dead_rows::{self, Standing};
use crate::messaging::error::DeadLettersError;
use crate::messaging::replayed::replay_of;

/// How many replays one statement asks about.
const AT_ONCE: usize = 200;

/// What one command put back into a queue, until it is known what came of each.
#[derive(Default)]
pub struct Replays {
    open: HashMap<Uuid, Sent>,
    /// Replays whose letter was set aside again: one command replays none twice.
    dead_again: HashSet<Uuid>,
    told: Vec<Told>,
}

impl Replays {
    /// Whether this command put the letter back, and it was set aside again. If so, notes that as the effect of the replay.
    pub fn is_own(&mut self, letter: &Letter) -> bool {
        let Some(replay) = replay_of(&letter.wire) else {
            return false;
        };
        if let Some(sent) = self.open.remove(&replay) {
            self.dead_again.insert(replay);
            self.told.push(sent.told(Effect::DeadAgain));
        }
        self.dead_again.contains(&replay)
    }

    /// Puts a letter back into its queue: as it first came, but with a new budget of attempts and a trace of its own.
    ///
    /// # Errors
    /// [`DeadLettersError`] when that may not have been done; the letter is then still there, possibly beside its copy.
    pub async fn send(&mut self, look: &mut Look, letter: Letter) -> Result<(), DeadLettersError> {
        let shown = letter.shown.clone();
        match look.send_back(letter).await? {
            // The broker delivers the copy and the inbox drops it. A row goes only when its process has taken it.
            Some(sent) if sent.known && sent.row.is_none() => self.told.push(sent.told(Effect::Known)),
            Some(sent) => {
                self.open.insert(sent.replay, sent);
            }
            None => self.told.push(Told {
                letter: shown,
                effect: Effect::Taken,
                trace_id: None,
            }),
        }
        Ok(())
    }

    /// How many replays have no known effect yet.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Looks at what came of the open replays. On the broker, all letters of `look` must have been seen before.
    ///
    /// # Errors
    /// [`DeadLettersError`] when that can't be read; what is known already is kept.
    pub async fn watch(&mut self, look: &mut Look) -> Result<(), DeadLettersError> {
        loop {
            let arrived = look.arrived().await?;
            if arrived.is_empty() {
                break;
            }
            for letter in &arrived {
                self.is_own(letter);
            }
        }
        self.look_after(look).await
    }

    /// Looks at which open replays were taken in. May be called while letters of `look` are still to be seen.
    ///
    /// # Errors
    /// As [`Self::watch`].
    pub async fn look_after(&mut self, look: &Look) -> Result<(), DeadLettersError> {
        self.watch_rows(look).await?;
        self.watch_inbox(look).await
    }

    /// Takes out the effects that are known by now: each is told once.
    pub fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Ends the wait: as [`Self::told`], with [`Effect::NotYet`] for all replays that are still open.
    pub fn give_up(&mut self) -> Vec<Told> {
        let rest = self.open.drain().map(|(_, sent)| sent.told(Effect::NotYet));
        self.told.extend(rest);
        self.told()
    }

    async fn watch_rows(&mut self, look: &Look) -> Result<(), DeadLettersError> {
        let rows: Vec<_> = self
            .open
            .values()
            .filter_map(|sent| Some((sent.row?, sent.replay)))
            .collect();
        for some in rows.chunks(AT_ONCE) {
            let ids: Vec<i64> = some.iter().map(|(row, _)| *row).collect();
            let standing = dead_rows::standing(look.database(), &ids).await?;
            for (row, replay) in some {
                let effect = match standing.get(row) {
                    Some(Standing::Asked) => continue,
                    Some(Standing::DeadAgain) => Effect::DeadAgain,
                    None if self.open.get(replay).is_some_and(|sent| sent.known) => Effect::Known,
                    None => Effect::Done,
                };
                self.end(*replay, effect);
            }
        }
        Ok(())
    }

    async fn watch_inbox(&mut self, look: &Look) -> Result<(), DeadLettersError> {
        let on_broker = self.open.values().filter(|sent| sent.row.is_none());
        let mut messages: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for sent in on_broker {
            if let Some(message) = sent.message {
                messages.entry(message).or_default().push(sent.replay);
            }
        }
        let ids: Vec<Uuid> = messages.keys().copied().collect();
        for some in ids.chunks(AT_ONCE) {
            for id in look.taken_in(some).await? {
                let mut replays = messages.remove(&id).unwrap_or_default();
                // Of several copies of one message the first was taken in.
                replays.sort_unstable();
                for (place, replay) in replays.into_iter().enumerate() {
                    self.end(replay, if place == 0 { Effect::Done } else { Effect::Known });
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, replay: Uuid, effect: Effect) {
        if let Some(sent) = self.open.remove(&replay) {
            self.told.push(sent.told(effect));
        }
    }
}

impl fmt::Debug for Replays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replays")
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}
