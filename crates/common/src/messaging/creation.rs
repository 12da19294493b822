//! A change that makes one row: the row and the events that tell of it, in one statement.
//!
//! Why: a transaction takes four round trips (begin, row, events, commit), and nobody else can have its connection
//! meanwhile. PostgreSQL takes the row and its events in one statement, which is a transaction by itself: `WITH made AS
//! (INSERT ..) INSERT INTO outbox ..`. Nothing has to be locked before the events are written, since nobody else can know
//! of an aggregate that is only being made. SQLite has no such statement: there a transaction does it.

use std::future::Future;
use std::iter;

use contracts::{Event, EventData};
use sea_orm::sea_query::{InsertStatement, WithQuery};
use sea_orm::{ConnectionTrait, DbErr};
use tokio::time::Instant;

use super::outbox::{OutboxError, together};
use super::told::{LOOK, Step, Told};
use crate::database::{DEADLINE, Database, is_transient, within};

/// The making of one row, not yet done. Dropped before [`Creation::commit_or_find`], it leaves nothing behind.
pub struct Creation {
    database: Database,
    row: InsertStatement,
    told: Told,
}

impl Creation {
    pub(super) fn new(database: Database, row: InsertStatement, told: Told) -> Self {
        Self { database, row, told }
    }

    /// Adds an event that tells of the row; as [`Change::tell`](super::Change::tell).
    ///
    /// # Errors
    /// [`OutboxError`] when the event can't travel.
    pub fn tell<T: EventData>(&mut self, event: &Event<T>) -> Result<(), OutboxError> {
        self.told.tell(event)
    }

    /// Adds what is done once the row is committed; as [`Change::then`](super::Change::then).
    pub fn then(&mut self, follow_up: impl Future<Output = ()> + Send + 'static) {
        self.told.then(follow_up);
    }

    /// Makes the row and its events, wakes the relay, and runs the follow-ups; within 2.5 s. Where the database's answer is
    /// lost, it takes longer: `is_there` is asked whether the row is there, half a second each time, and the statement may
    /// be tried once more; as [`Change::commit_or_find`](super::Change::commit_or_find).
    ///
    /// # Errors
    /// [`DbErr`], also for a broken unique key. Where the answer was lost and `is_there` failed too, the row may be there.
    pub async fn commit_or_find<F>(self, is_there: impl Fn() -> F) -> Result<(), DbErr>
    where
        F: Future<Output = Result<bool, DbErr>>,
    {
        if self.database.is_postgres() {
            Box::pin(self.in_one_statement(is_there)).await
        } else {
            Box::pin(self.in_a_transaction(is_there())).await
        }
    }

    async fn in_one_statement<F>(mut self, is_there: impl Fn() -> F) -> Result<(), DbErr>
    where
        F: Future<Output = Result<bool, DbErr>>,
    {
        let deadline = Instant::now() + DEADLINE;
        let database = self.database.write_for_a_request();
        let statement = whole(self.row, self.told.take_inserts());
        let write = || database.execute(&statement);
        self.told.reached(Step::EventsWritten);
        let looks = || within(LOOK, is_there());
        let written = match write().await {
            // Once more, as at the begin of a transaction: the pool may have handed out a connection that was dead.
            Err(error)
                if is_transient(&error)
                    && Instant::now() + DEADLINE / 2 < deadline
                    && matches!(looks().await, Ok(false)) =>
            {
                match write().await {
                    // The first try has made the row all the same: the second met its key.
                    Err(_) if matches!(looks().await, Ok(true)) => Ok(()),
                    again => again.map(drop),
                }
            }
            first => first.map(drop),
        };
        match written {
            Ok(()) => {
                self.told.committed();
                self.told.follow(deadline).await;
                Ok(())
            }
            Err(error) => self.told.follow_if_there(error, is_there()).await,
        }
    }

    async fn in_a_transaction(mut self, is_there: impl Future<Output = Result<bool, DbErr>>) -> Result<(), DbErr> {
        let tx = self.database.begin(DEADLINE).await?;
        let deadline = tx.deadline();
        if let Err(error) = tx.execute(&self.row).await {
            tx.roll_back().await;
            return Err(error);
        }
        match self.told.commit(tx).await {
            Ok(()) => self.told.follow(deadline).await,
            Err(error) => self.told.follow_if_there(error, is_there).await?,
        }
        Ok(())
    }
}

/// The row, the rows of the outbox and those of the outbox for Kafka, as one statement.
fn whole(row: InsertStatement, (events, copies): (InsertStatement, Option<InsertStatement>)) -> WithQuery {
    let made = iter::once(("made", row));
    together(made.chain(copies.map(|copies| ("copied", copies))), events)
}

impl std::fmt::Debug for Creation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Creation")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}
