//! A look at the dead letters of one queue, a few at a time.

use std::fmt;

use uuid::Uuid;

use super::effect::Sent;
use super::letter::{At, Letter};
use super::place::{DeadLetters, Kept};
use crate::Timestamp;
use crate::database::Database;
use crate::messaging::error::DeadLettersError;
use crate::messaging::rabbit::{DeadQueue, Rabbit};
use crate::messaging::replayed::{first_trace, replayed};
use crate::messaging::wire::Wire;
use crate::messaging::{dead_rows, inbox, trace};
use crate::telemetry::TraceContext;

/// Rows of a page.
const PAGE: u64 = 200;

/// A look at the dead letters of one queue. When it is dropped, all letters that it did not take stay where they are. After
/// [`Look::close`] the next look finds them at once.
pub struct Look {
    letters: DeadLetters,
    pages: Pages,
}

enum Pages {
    Broker { rabbit: Rabbit, dead: Box<DeadQueue> },
    Table { after: i64, total: u64 },
}

/// Where a letter is after an attempt to put it back.
enum Back {
    InQueue,
    /// In its row, marked for the process that has the queue.
    Asked(i64),
    /// Somebody else was first.
    Taken,
}

impl DeadLetters {
    /// Begins a look at all that are there. On the broker only one look at a time is under way: this one waits for its
    /// turn, about 30 s at most.
    ///
    /// # Errors
    /// [`DeadLettersError`] when they can't be looked at, or another look does not end by then.
    pub async fn open(&self) -> Result<Look, DeadLettersError> {
        let letters = self.clone();
        let pages = match &letters.kept {
            Kept::Broker(rabbit) => Pages::Broker {
                rabbit: rabbit.clone(),
                dead: Box::new(rabbit.open_dead(letters.queue).await?),
            },
            Kept::Table => Pages::Table {
                after: 0,
                total: dead_rows::count(&letters.database, letters.queue.name).await?,
            },
        };
        Ok(Look { letters, pages })
    }
}

impl Look {
    /// How many letters there were when the look began. On the broker [`Replays::watch`](super::Replays::watch) adds those
    /// that come later.
    pub fn total(&self) -> u64 {
        match &self.pages {
            Pages::Broker { dead, .. } => dead.total().into(),
            Pages::Table { total, .. } => *total,
        }
    }

    /// Whether the letters were held for so long (10 min) that the look must be closed and begun again: the broker takes
    /// them back after half an hour.
    pub fn is_held_long(&self) -> bool {
        match &self.pages {
            Pages::Broker { dead, .. } => dead.is_held_long(),
            Pages::Table { .. } => false,
        }
    }

    /// The next letters, some hundreds at most, the oldest first; empty when all were seen.
    ///
    /// # Errors
    /// [`DeadLettersError`] when they can't be read, or when the broker hands out fewer than it counted.
    pub async fn next(&mut self) -> Result<Vec<Letter>, DeadLettersError> {
        let queue = self.letters.queue.name;
        match &mut self.pages {
            Pages::Broker { dead, .. } => {
                let letters = dead.next().await?.into_iter();
                Ok(letters
                    .map(|(wire, held)| Letter::new(queue, wire, At::Broker(held)))
                    .collect())
            }
            Pages::Table { after, .. } => {
                let rows = dead_rows::page(&self.letters.database, queue, *after, PAGE).await?;
                if let Some(last) = rows.last() {
                    *after = last.id;
                }
                let letters = rows.into_iter();
                Ok(letters
                    .map(|row| Letter::new(queue, row.wire, At::Row(row.id)))
                    .collect())
            }
        }
    }

    /// The body of a letter; empty where its row is gone.
    ///
    /// # Errors
    /// [`DeadLettersError`] when it can't be read.
    pub async fn body(&self, letter: &Letter) -> Result<Vec<u8>, DeadLettersError> {
        match letter.at {
            At::Broker(_) => Ok(letter.wire.body.to_vec()),
            At::Row(id) => Ok(dead_rows::body(&self.letters.database, id).await?.unwrap_or_default()),
        }
    }

    /// Drops a letter for good; false when somebody else did.
    ///
    /// # Errors
    /// [`DeadLettersError`] when it may still be there.
    pub async fn discard(&mut self, letter: Letter) -> Result<bool, DeadLettersError> {
        match (&mut self.pages, &letter.at) {
            (Pages::Broker { dead, .. }, At::Broker(held)) => dead.take(held).await.map(|()| true),
            (_, At::Row(id)) => Ok(dead_rows::delete(&self.letters.database, *id).await?),
            (Pages::Table { .. }, At::Broker(_)) => Ok(false),
        }
    }

    /// Ends the look, and waits, 10 s at most, until the letters that were not taken are there for the next one.
    pub async fn close(self) {
        if let Pages::Broker { dead, .. } = self.pages {
            dead.close().await;
        }
    }

    /// Puts a letter back into its queue, in a trace of its own that links to the first. `None`: somebody else did.
    pub(super) async fn send_back(&mut self, letter: Letter) -> Result<Option<Sent>, DeadLettersError> {
        let message: Option<Uuid> = letter.shown.id.as_deref().and_then(|id| id.parse().ok());
        let known = match message {
            Some(id) => !self.taken_in(&[id]).await?.is_empty(),
            None => false,
        };
        let (queue, replay) = (self.letters.queue.name, Uuid::now_v7());
        let system = match &self.pages {
            Pages::Broker { .. } => "rabbitmq",
            Pages::Table { .. } => "memory",
        };
        let kind = letter.shown.kind.clone().unwrap_or_else(|| "unknown".to_owned());
        let id = letter.shown.id.clone().unwrap_or_else(|| "none".to_owned());
        let first = first_trace(&letter.wire);
        let span = || trace::replay((system, queue), (&kind, &id), first.as_ref());
        let sending = async {
            let trace = TraceContext::current();
            let trace_id = trace.trace_id().to_owned();
            let copy = replayed(&letter.wire, replay, trace);
            let sent = self.put_back(&letter, &copy).await;
            if sent.is_err() {
                trace::failed();
            }
            Ok((trace_id, sent?))
        };
        let sent: Result<_, DeadLettersError> = trace::continuing(None, span, sending).await;
        let (trace_id, sent) = sent?;
        let row = match sent {
            Back::InQueue => None,
            Back::Asked(row) => Some(row),
            Back::Taken => return Ok(None),
        };
        Ok(Some(Sent {
            letter: letter.shown,
            replay,
            message,
            known,
            row,
            trace_id,
        }))
    }

    async fn put_back(&mut self, letter: &Letter, copy: &Wire) -> Result<Back, DeadLettersError> {
        match (&mut self.pages, &letter.at) {
            (Pages::Broker { rabbit, dead }, At::Broker(held)) => {
                // The copy first: a process that is killed between the two leaves a double, which the inbox drops.
                rabbit.put_into(self.letters.queue, copy).await?;
                dead.take(held).await?;
                Ok(Back::InQueue)
            }
            (_, At::Row(id)) => {
                let is_asked = dead_rows::ask(&self.letters.database, *id, copy, Timestamp::now()).await?;
                Ok(if is_asked { Back::Asked(*id) } else { Back::Taken })
            }
            (Pages::Table { .. }, At::Broker(_)) => Ok(Back::Taken),
        }
    }

    /// Which of these messages the consumer has taken in.
    pub(super) async fn taken_in(&self, ids: &[Uuid]) -> Result<Vec<Uuid>, DeadLettersError> {
        Ok(inbox::known(self.letters.database.read(), self.letters.queue.name, ids).await?)
    }

    /// The letters that came to the broker's dead-letter queue since all were seen; none where letters are rows.
    pub(super) async fn arrived(&mut self) -> Result<Vec<Letter>, DeadLettersError> {
        if let Pages::Broker { dead, .. } = &mut self.pages {
            dead.go_on().await?;
            return self.next().await;
        }
        Ok(Vec::new())
    }

    pub(super) fn database(&self) -> &Database {
        &self.letters.database
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Look").field(&self.letters).finish()
    }
}
