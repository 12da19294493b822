//! A change: a transaction, the events that tell of it, and what follows its commit.
//!
//! The types keep the order of the steps, so that no caller has to. Events are encoded when they are told, and written
//! last: the aggregate's rows are locked by then. The relay is woken after the commit. A cache or a live stream hears only
//! of a change that is committed. A crash right after the commit may lose the waking and the follow-ups; that is no harm,
//! since whoever is woken also looks by itself.

use std::future::Future;
use std::sync::Arc;

use contracts::{Event, EventData};
use sea_orm::DbErr;
use sea_orm::sea_query::InsertStatement;
use serde_json::Value;

use super::creation::Creation;
use super::outbox::{Outbox, OutboxError};
use super::told::{Observer, Step, Told};
use crate::config::Service;
use crate::database::{DEADLINE, Database, Transaction};

/// Opens the changes of one service. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    database: Database,
    outbox: Outbox,
    observer: Option<Observer>,
}

impl Changes {
    /// The changes of `service`, in its database. Made once in a process and cloned: another one would not wake the relay.
    pub fn new(service: Service, database: Database) -> Self {
        Self {
            database,
            outbox: Outbox::new(service),
            observer: None,
        }
    }

    /// Has every event written for Kafka too, for the relay of that outlet.
    #[must_use]
    pub fn and_for_kafka(self) -> Self {
        Self {
            outbox: self.outbox.and_for_kafka(),
            ..self
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
        Ok(self.open(self.database.begin(DEADLINE).await?))
    }

    /// Opens a change that nobody waits for: a message, an outcome. It has 2.5 s from here to its end, on SQLite 10 s.
    pub(crate) async fn begin_patiently(&self) -> Result<Change, DbErr> {
        let limit = self.database.patience();
        Ok(self.open(self.database.begin_patiently(limit).await?))
    }

    fn open(&self, tx: Transaction) -> Change {
        Change { tx, told: self.told() }
    }

    /// Opens a change that makes one row and tells events of it: one statement on PostgreSQL, a transaction on SQLite.
    /// Nothing is sent to the database yet.
    pub fn creation(&self, row: InsertStatement) -> Creation {
        Creation::new(self.database.clone(), row, self.told())
    }

    /// The events and follow-ups of a change that begins now: none yet.
    fn told(&self) -> Told {
        Told::new(self.outbox.clone(), self.observer.clone())
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
    told: Told,
}

impl Change {
    /// The transaction, for table functions.
    pub fn tx(&self) -> &Transaction {
        &self.tx
    }

    /// Adds an event that tells of the change, with the current trace.
    ///
    /// It is written by [`Change::commit`], after all rows of the change.
    ///
    /// # Errors
    /// [`OutboxError`] when the event can't travel; the change should then be dropped.
    pub fn tell<T: EventData>(&mut self, event: &Event<T>) -> Result<(), OutboxError> {
        self.told.tell(event)
    }

    /// Adds a row that nobody reads before the commit. [`Change::commit`] writes it before the events, in one statement with
    /// all rows that were added for the same `insert`: so many messages that share a change cost as many statements as one.
    ///
    /// `insert` writes the rows of a JSON array, its one parameter.
    pub(crate) fn write_last(&mut self, insert: &'static str, row: Value) {
        self.told.write_last(insert, row);
    }

    /// Adds work that is done only once the change is committed.
    ///
    /// It is left out when the process crashes or the change's time is over: whatever it does must come about in another way
    /// too.
    pub fn then(&mut self, follow_up: impl Future<Output = ()> + Send + 'static) {
        self.told.then(follow_up);
    }

    /// Writes what was to be written last and the events, commits, wakes the relay, and runs the follow-ups in their order.
    ///
    /// # Errors
    /// [`DbErr`] when the change is not committed, or when the database does not say so in time.
    ///
    /// # Cancel safety
    /// Dropped before the database answered, the change may be committed or not; dropped later, follow-ups are left out.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { tx, mut told } = self;
        let deadline = tx.deadline();
        told.commit(tx).await?;
        told.follow(deadline).await;
        Ok(())
    }

    /// As [`Self::commit`]; where the database's answer is lost, `is_there` is asked whether the change is committed.
    ///
    /// For what can be made only once: a caller who is told of a failure and tries again would meet their own work.
    /// `is_there` reads on another connection, by an id or a row that only this change has written. If the change is there,
    /// its follow-ups run as after any commit, within half a second: a cache would otherwise keep the old state.
    ///
    /// # Errors
    /// As [`Self::commit`]. Where the answer was lost and `is_there` failed too, the change may be committed all the same.
    pub async fn commit_or_find(self, is_there: impl Future<Output = Result<bool, DbErr>>) -> Result<(), DbErr> {
        let Self { tx, mut told } = self;
        let deadline = tx.deadline();
        match told.commit(tx).await {
            Ok(()) => told.follow(deadline).await,
            Err(error) => told.follow_if_there(error, is_there).await?,
        }
        Ok(())
    }

    /// Takes all of it back: no row, no event, no follow-up.
    ///
    /// Dropping a change does the same, but later: the connection sends the rollback when it is used next.
    pub async fn roll_back(self) {
        self.tx.roll_back().await;
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
