//! The pool, for single statements, each with its deadline.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::deadline::{no_place, within};
use super::errors::{is_outdated_plan, is_transient};
use super::span::StatementSpan;
use super::suspects;
use crate::resilience::{Bulkhead, Place};

/// More connections than this can't hold an outdated plan: no pool is as large.
const MAX_OUTDATED: usize = 64;
/// Longest wait for a place among the statements that run at a time.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// A service's database for statements that need no transaction. Each has its time, also when the server hangs.
///
/// Table functions take it as any other connection.
#[derive(Debug, Clone)]
pub struct Connection {
    pool: DatabaseConnection,
    /// The time for one statement, waiting for a connection included.
    limit: Duration,
    /// What requests share; none for the few that a service makes by itself.
    bulkhead: Option<Bulkhead>,
}

impl Connection {
    pub(super) fn new(pool: DatabaseConnection, limit: Duration) -> Self {
        Self {
            pool,
            limit,
            bulkhead: None,
        }
    }

    /// The same, with so many statements at a time.
    pub(super) fn behind(self, bulkhead: Bulkhead) -> Self {
        Self {
            bulkhead: Some(bulkhead),
            ..self
        }
    }

    /// The same, past the places.
    pub(super) fn unbounded(&self) -> Self {
        Self {
            bulkhead: None,
            ..self.clone()
        }
    }

    /// A place for one statement.
    async fn enter(&self) -> Result<Option<Place>, DbErr> {
        let Some(bulkhead) = &self.bulkhead else {
            return Ok(None);
        };
        bulkhead.enter_within(PATIENCE).await.map(Some).ok_or_else(no_place)
    }

    /// The pool itself: what is awaited on it has no deadline.
    pub(super) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Runs a statement in a place. One that a connection planned before its table was altered fails there once. It is
    /// asked again on another connection, or on the same, which has forgotten its plans.
    async fn on_a_fresh_plan<T, F>(&self, statement: impl Fn() -> F) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let _place = self.enter().await?;
        let mut outcome = within(self.limit, statement()).await;
        for _ in 0..MAX_OUTDATED {
            match &outcome {
                Err(error) if is_outdated_plan(error) => suspects::note_outdated_plan(),
                _ => break,
            }
            outcome = within(self.limit, statement()).await;
        }
        outcome.inspect_err(|error| {
            if is_transient(error) {
                suspects::note_broken();
            }
        })
    }

    /// Closes the pool. Statements that come later fail.
    ///
    /// # Errors
    /// [`DbErr`] when the pool can't be closed.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.pool.close_by_ref().await
    }
}

#[async_trait]
impl ConnectionTrait for Connection {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let answer = self.on_a_fresh_plan(|| self.pool.execute_raw(statement.clone()));
        StatementSpan::of(self.get_database_backend(), &statement.sql)
            .around(answer)
            .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let answer = async {
            let _place = self.enter().await?;
            within(self.limit, self.pool.execute_unprepared(sql)).await
        };
        StatementSpan::of(self.get_database_backend(), sql).around(answer).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let answer = self.on_a_fresh_plan(|| self.pool.query_one_raw(statement.clone()));
        StatementSpan::of(self.get_database_backend(), &statement.sql)
            .around(answer)
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let answer = self.on_a_fresh_plan(|| self.pool.query_all_raw(statement.clone()));
        StatementSpan::of(self.get_database_backend(), &statement.sql)
            .around(answer)
            .await
    }
}
