//! A transaction whose every statement is answered by one deadline.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::time::Instant;

use super::deadline::until;
use super::errors::{is_outdated_plan, is_transient};
use super::span::StatementSpan;
use super::suspects::{self, Unfinished};
use crate::resilience::Place;

/// An open transaction that has until a deadline, also when the server hangs.
///
/// Table functions take it as any other connection. Dropped, it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    // Before the transaction, so that it is dropped before it.
    unfinished: Unfinished,
    inner: DatabaseTransaction,
    deadline: Instant,
    /// Free again when all above is dropped.
    _place: Place,
}

impl Transaction {
    /// Takes over a transaction that was begun on behalf of work which has until `deadline`.
    pub(super) fn new(inner: DatabaseTransaction, deadline: Instant, place: Place) -> Self {
        Self {
            unfinished: Unfinished::begin(),
            inner,
            deadline,
            _place: place,
        }
    }

    /// When its time is over, that of waiting for a connection included.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Makes its changes last.
    ///
    /// # Errors
    /// [`DbErr`] when they do not, or when that is unknown: a lost answer looks like a lost commit.
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        let backend = self.inner.get_database_backend();
        let done = StatementSpan::of(backend, "COMMIT")
            .around(until(self.deadline, self.inner.commit()))
            .await;
        self.unfinished.done();
        done
    }

    /// Takes its changes back. A server that does not say so in time does it when the connection ends.
    pub(crate) async fn roll_back(self) {
        let backend = self.inner.get_database_backend();
        let done = StatementSpan::of(backend, "ROLLBACK")
            .around(until(self.deadline, self.inner.rollback()))
            .await;
        self.unfinished.done();
        if let Err(error) = done {
            tracing::debug!(%error, "a change was not rolled back in time; the database does so by itself");
        }
    }
}

/// Notes what an error says of the pool's connections. A statement that its connection planned before its table was altered
/// has failed the transaction; the next one begins on a connection that has forgotten its plans.
fn noting<T>(outcome: Result<T, DbErr>) -> Result<T, DbErr> {
    outcome.inspect_err(|error| {
        if is_outdated_plan(error) {
            suspects::note_outdated_plan();
        } else if is_transient(error) {
            suspects::note_broken();
        }
    })
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let span = StatementSpan::of(self.get_database_backend(), &statement.sql);
        let answer = until(self.deadline, self.inner.execute_raw(statement));
        noting(span.around(answer).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let answer = until(self.deadline, self.inner.execute_unprepared(sql));
        StatementSpan::of(self.get_database_backend(), sql).around(answer).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let span = StatementSpan::of(self.get_database_backend(), &statement.sql);
        let answer = until(self.deadline, self.inner.query_one_raw(statement));
        noting(span.around(answer).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let span = StatementSpan::of(self.get_database_backend(), &statement.sql);
        let answer = until(self.deadline, self.inner.query_all_raw(statement));
        noting(span.around(answer).await)
    }
}
