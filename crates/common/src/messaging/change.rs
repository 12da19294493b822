//! A change: a transaction, the events that tell of it, and what follows its commit.
//!
//! What a comment would have to ask for is here a matter of types. Events are encoded when they are told and
//! written last, so that an aggregate's rows are locked before; the relay is woken after the commit; a cache
//! or a live stream hears of a change that is committed, and of no other. What may be forgotten by a crash
//! after the commit (waking, follow-ups) is found in another way: whoever is woken also looks by itself.

use std::future::Future;
use std::sync::Arc;

use contracts::{Event, EventData};
use sea_orm::DbErr;
use sea_orm::sea_query::InsertStatement;

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
    /// The changes of `service`, in its database; one in a process, or the relay is not woken.
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

    /// Opens a change that is the making of one row and the events that tell of it: in one statement, where the
    /// database can.
    pub fn creation(&self, row: InsertStatement) -> Creation {
        Creation::new(self.database.clone(), row, self.told())
    }

    /// What is told with a change that begins now.
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

    /// Adds an event that tells of the change, with where the trace stands now.
    ///
    /// It is written with the commit, behind all rows.
    ///
    /// # Errors
    /// [`OutboxError`] when the event can't travel; the change should then be dropped.
    pub fn tell<T: EventData>(&mut self, event: &Event<T>) -> Result<(), OutboxError> {
        self.told.tell(event)
    }

    /// Adds what is done once the change is committed, and never otherwise.
    ///
    /// A crash may leave it out, and so may the end of the change's time: it must be found in another way too.
    pub fn then(&mut self, follow_up: impl Future<Output = ()> + Send + 'static) {
        self.told.then(follow_up);
    }

    /// Writes the events, commits, wakes the relay, and runs the follow-ups in their order.
    ///
    /// # Errors
    /// [`DbErr`] when the change is not committed, or when the database does not say so in time.
    ///
    /// # Cancel safety
    /// Dropped before the commit's answer, whether it is committed is unknown; after it, follow-ups are left out.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { tx, mut told } = self;
        let deadline = tx.deadline();
        told.commit(tx).await?;
        told.follow(deadline).await;
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
    /// Dropping a change does the same, but later: the connection says so when it is used next.
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
