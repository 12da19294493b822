//! What goes with a change: rows that can wait for its end, the events that tell of it, and what follows its commit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use contracts::{Event, EventData};
use sea_orm::sea_query::InsertStatement;
use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde_json::Value;
use tokio::time::Instant;

use super::outbox::{Outbox, OutboxError, row};
use crate::Timestamp;
use crate::database::{Transaction, is_transient, within};
use crate::process::chain;
use crate::telemetry::TraceContext;

type FollowUp = Pin<Box<dyn Future<Output = ()> + Send>>;
pub(super) type Observer = Arc<dyn Fn(Step) + Send + Sync>;

/// Longest look for a change whose commit was not answered; its follow-ups get as long again. The change's own time is over
/// by then, and somebody waits.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// How far a commit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The events stand in the outbox; nothing is committed.
    EventsWritten,
    /// Rows and events are committed; nobody was told yet.
    Committed,
    /// The relay was woken, where there are events; no follow-up has run.
    Woken,
}

/// The last rows of one change, its events in the form in which they travel, and its follow-ups.
pub(super) struct Told {
    outbox: Outbox,
    /// Each statement with the rows that it writes.
    last_rows: Vec<(&'static str, Vec<Value>)>,
    events: Vec<row::ActiveModel>,
    tells: bool,
    follow_ups: Vec<FollowUp>,
    observer: Option<Observer>,
}

impl Told {
    pub(super) fn new(outbox: Outbox, observer: Option<Observer>) -> Self {
        Self {
            outbox,
            last_rows: Vec::new(),
            events: Vec::new(),
            tells: false,
            follow_ups: Vec::new(),
            observer,
        }
    }

    pub(super) fn tell<T: EventData>(&mut self, event: &Event<T>) -> Result<(), OutboxError> {
        let row = self.outbox.row_of(event, TraceContext::current(), Timestamp::now())?;
        self.events.push(row);
        self.tells = true;
        Ok(())
    }

    pub(super) fn write_last(&mut self, insert: &'static str, row: Value) {
        match self.last_rows.iter_mut().find(|(statement, _)| *statement == insert) {
            Some((_, rows)) => rows.push(row),
            None => self.last_rows.push((insert, vec![row])),
        }
    }

    pub(super) fn then(&mut self, follow_up: impl Future<Output = ()> + Send + 'static) {
        self.follow_ups.push(Box::pin(follow_up));
    }

    /// Takes the events out, as the statements that write them: for the broker and, where that is on, for Kafka.
    pub(super) fn take_inserts(&mut self) -> (InsertStatement, Option<InsertStatement>) {
        self.outbox.inserts(std::mem::take(&mut self.events))
    }

    /// Writes the last rows and then the events, which are the last statement of `tx`, commits, and wakes the relay.
    pub(super) async fn commit(&mut self, tx: Transaction) -> Result<(), DbErr> {
        if let Err(error) = self.write(&tx).await {
            tx.roll_back().await;
            return Err(error);
        }
        self.reached(Step::EventsWritten);
        tx.commit().await?;
        self.committed();
        Ok(())
    }

    async fn write(&mut self, tx: &Transaction) -> Result<(), DbErr> {
        for (insert, rows) in std::mem::take(&mut self.last_rows) {
            let rows = Value::from(rows).to_string();
            let statement = Statement::from_sql_and_values(tx.get_database_backend(), insert, [rows.into()]);
            tx.execute_raw(statement).await?;
        }
        self.outbox.append(tx, std::mem::take(&mut self.events)).await
    }

    pub(super) fn reached(&self, step: Step) {
        self.observer.iter().for_each(|observer| observer(step));
    }

    /// To be called when rows and events are committed: wakes the relay if there are events.
    pub(super) fn committed(&self) {
        self.reached(Step::Committed);
        if self.tells {
            self.outbox.wake();
        }
        self.reached(Step::Woken);
    }

    /// Runs the follow-ups in their order, until `deadline`; the rest is left out.
    pub(super) async fn follow(self, deadline: Instant) {
        let following = async {
            for follow_up in self.follow_ups {
                follow_up.await;
            }
        };
        if tokio::time::timeout_at(deadline, following).await.is_err() {
            tracing::warn!("the work after a commit (cache, wake-ups) was cut off at its deadline; the change stands");
        }
    }

    /// After a commit that failed with `error`: where the change is there all the same, goes on as after any commit.
    ///
    /// # Errors
    /// `error` when the change is not there or the database can't be asked. It is asked only where `error` is transient.
    pub(super) async fn follow_if_there(
        self,
        error: DbErr,
        is_there: impl Future<Output = Result<bool, DbErr>>,
    ) -> Result<(), DbErr> {
        if !is_transient(&error) || !matches!(within(LOOK, is_there).await, Ok(true)) {
            return Err(error);
        }
        tracing::warn!(
            error = chain(&error),
            "the answer to a commit was lost; the change is there"
        );
        self.outbox.wake();
        self.follow(Instant::now() + LOOK).await;
        Ok(())
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told")
            .field("events", &self.events.len())
            .field("follow_ups", &self.follow_ups.len())
            .finish_non_exhaustive()
    }
}
