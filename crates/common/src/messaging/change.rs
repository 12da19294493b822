//! A change: a transaction, the events that tell of it, and what follows its commit.
//!
//! What a comment would have to ask for is here a matter of types. Events are encoded when they are told and
//! written last, so that an aggregate's rows are locked before; the relay is woken after the commit; a cache
//! or a live stream hears of a change that is committed, and of no other. What may be forgotten by a crash
//! after the commit (waking, follow-ups) is found in another way: whoever is woken also looks by itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use contracts::{Event, EventData};
use sea_orm::DbErr;
use tokio::time::Instant;

use super::outbox::{Outbox, OutboxError, row};
use crate::Timestamp;
use crate::config::Service;
use crate::database::{DEADLINE, Database, Transaction, is_transient, within};
use crate::process::chain;
use crate::telemetry::TraceContext;

type FollowUp = Pin<Box<dyn Future<Output = ()> + Send>>;
type Observer = Arc<dyn Fn(Step) + Send + Sync>;

/// For looking a change up whose commit was not answered, and as long again for what follows it: its own time is over
/// by then, and somebody waits.
const LOOK: Duration = Duration::from_millis(500);

/// How far a commit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The events stand in the outbox; nothing is committed.
    EventsWritten,
    /// Rows and events are committed; nobody knows.
    Committed,
    /// The relay was woken; no follow-up has run.
    Woken,
}

/// Opens the changes of one service. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    database: Database,
    outbox: Outbox,
    observer: Option<Observer>,
}

impl Changes {
    /// The changes of `service`, in its database; one in a process, or the relay is not woken.
    pub fn new(service: Service, database: Database) -> Self {
        Self {
            database,
            outbox: Outbox::new(service),
            observer: None,
        }
    }

    /// Has `observer` called at each [`Step`] of a commit: for tests that crash there.
    #[must_use]
    pub fn observed(self, observer: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self {
            observer: Some(Arc::new(observer)),
            ..self
        }
    }

    /// Opens a change that somebody waits for. It has 2.5 s from here to its end.
    ///
    /// # Errors
    /// [`DbErr`] when the database does not begin a transaction in time.
    pub async fn begin(&self) -> Result<Change, DbErr> {
        self.begin_within(DEADLINE).await
    }

    /// Opens a change that nobody waits for: a message, an outcome. It has 2.5 s from here to its end, on SQLite 10 s.
    pub(crate) async fn begin_patiently(&self) -> Result<Change, DbErr> {
        self.begin_within(self.database.patience()).await
    }

    async fn begin_within(&self, limit: Duration) -> Result<Change, DbErr> {
        Ok(Change {
            tx: self.database.begin(limit).await?,
            outbox: self.outbox.clone(),
            events: Vec::new(),
            follow_ups: Vec::new(),
            observer: self.observer.clone(),
        })
    }

    /// Where the events are left: what the relay publishes.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The database that is changed.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes")
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// An open change. Dropped before [`Change::commit`], it leaves nothing behind.
pub struct Change {
    tx: Transaction,
    outbox: Outbox,
    events: Vec<row::ActiveModel>,
    follow_ups: Vec<FollowUp>,
    observer: Option<Observer>,
}

impl Change {
    /// The transaction, for table functions.
    pub fn tx(&self) -> &Transaction {
        &self.tx
    }

    /// Adds an event that tells of the change, with where the trace stands now.
    ///
    /// It is written with the commit, behind all rows.
    ///
    /// # Errors
    /// [`OutboxError`] when the event can't travel; the change should then be dropped.
    pub fn tell<T: EventData>(&mut self, event: &Event<T>) -> Result<(), OutboxError> {
        let row = self.outbox.row_of(event, TraceContext::current(), Timestamp::now())?;
        self.events.push(row);
        Ok(())
    }

    /// Adds what is done once the change is committed, and never otherwise.
    ///
    /// A crash may leave it out, and so may the end of the change's time: it must be found in another way too.
    pub fn then(&mut self, follow_up: impl Future<Output = ()> + Send + 'static) {
        self.follow_ups.push(Box::pin(follow_up));
    }

    /// Writes the events, commits, wakes the relay, and runs the follow-ups in their order.
    ///
    /// # Errors
    /// [`DbErr`] when the change is not committed, or when the database does not say so in time.
    ///
    /// # Cancel safety
    /// Dropped before the commit's answer, whether it is committed is unknown; after it, follow-ups are left out.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self {
            tx,
            outbox,
            events,
            follow_ups,
            observer,
        } = self;
        let reached = |step| observer.iter().for_each(|observer| observer(step));
        let tells = !events.is_empty();
        Outbox::append(&tx, events).await?;
        reached(Step::EventsWritten);
        let deadline = tx.deadline();
        tx.commit().await?;
        reached(Step::Committed);
        if tells {
            outbox.wake();
        }
        reached(Step::Woken);
        follow(follow_ups, deadline).await;
        Ok(())
    }

    /// As [`Self::commit`]; where the answer to it is lost, `is_there` is asked whether the change is committed.
    ///
    /// For what is made once: who is told that it failed would meet its own work when trying again. `is_there` reads
    /// on another connection, by an id or a row that only this change has written. What is there is followed as after
    /// any commit, within half a second: a cache would else go on with what was before.
    ///
    /// # Errors
    /// As [`Self::commit`]. That the change is not committed is certain only when the database could be asked.
    pub async fn commit_or_find(mut self, is_there: impl Future<Output = Result<bool, DbErr>>) -> Result<(), DbErr> {
        let (outbox, deadline) = (self.outbox.clone(), self.tx.deadline());
        let follow_ups = std::mem::take(&mut self.follow_ups);
        let Err(error) = self.commit().await else {
            follow(follow_ups, deadline).await;
            return Ok(());
        };
        if !is_transient(&error) || !matches!(within(LOOK, is_there).await, Ok(true)) {
            return Err(error);
        }
        tracing::warn!(
            error = chain(&error),
            "the answer to a commit was lost; the change is there"
        );
        outbox.wake();
        follow(follow_ups, Instant::now() + LOOK).await;
        Ok(())
    }

    /// Takes all of it back: no row, no event, no follow-up.
    ///
    /// Dropping a change does the same, but later: the connection says so when it is used next.
    pub async fn roll_back(self) {
        if let Err(error) = self.tx.roll_back().await {
            tracing::debug!(%error, "a change was not rolled back in time; the database does so by itself");
        }
    }
}

/// Runs what follows a commit, in its order, for as long as there is time.
async fn follow(follow_ups: Vec<FollowUp>, deadline: Instant) {
    let following = async {
        for follow_up in follow_ups {
            follow_up.await;
        }
    };
    if tokio::time::timeout_at(deadline, following).await.is_err() {
        tracing::warn!("what follows a change was left out: its time was over");
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change")
            .field("events", &self.events.len())
            .field("follow_ups", &self.follow_ups.len())
            .finish_non_exhaustive()
    }
}
