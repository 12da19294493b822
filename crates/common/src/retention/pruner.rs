//! Deletes what was kept for long enough, by hand or as a service's task.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::statements::{count, delete};
use super::table::{Pruning, Table};
use crate::Timestamp;
use crate::config::{Retention, Settings};
use crate::database::{Database, Leadership};
use crate::telemetry::Metrics;

/// The name of the right that one process of a service has for all.
const RIGHT: &str = "prune";
/// Rows that one statement deletes at most: it takes some milliseconds, and nobody waits for it longer.
const BATCH: u64 = 500;
/// Pause between two batches, in which others get through: so 10,000 rows a second go at the very most.
const PAUSE: Duration = Duration::from_millis(50);
/// Rows of a table that are counted at most: the index is read for each.
const MOST_COUNTED: u64 = 100_000;

/// Keeps the tables of one service small.
#[derive(Debug, Clone)]
pub struct Pruner {
    pub(super) database: Database,
    pub(super) tables: &'static [Table],
    pub(super) retention: Retention,
    pub(super) metrics: Metrics,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pruned {
    /// Nothing is left that may go, or the run was asked to stop: how many rows of each table went.
    Done(Vec<(&'static str, u64)>),
    /// Another process of the service does it.
    Taken,
    /// The right was lost midway, with its connection. Whoever comes next goes on.
    Lost,
}

/// What a run would find in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The table.
    pub table: &'static str,
    /// Rows that may go; 100,000 are counted at most.
    pub rows: u64,
    /// Whether there may be more of them.
    pub is_cut: bool,
}

impl Pruner {
    /// One for these tables of the service whose database this is.
    pub fn new(settings: &Settings, database: Database, tables: &'static [Table], metrics: Metrics) -> Self {
        Self {
            database,
            tables,
            retention: settings.retention.clone(),
            metrics,
        }
    }

    /// The time by which rows are old: on PostgreSQL the server's, so that a process with a wrong clock does not delete what
    /// all others keep.
    ///
    /// # Errors
    /// [`DbErr`] when the database does not answer in time.
    pub async fn now(&self) -> Result<Timestamp, DbErr> {
        let connection = self.database.read();
        if connection.get_database_backend() != DbBackend::Postgres {
            return Ok(Timestamp::now());
        }
        let sql = "SELECT CAST(extract(epoch FROM now()) * 1000000 AS BIGINT) AS now";
        let asked = Statement::from_string(DbBackend::Postgres, sql);
        let row = connection.query_one_raw(asked).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the time".to_owned()))?;
        row.try_get("", "now").map(Timestamp::from_micros)
    }

    /// Deletes what may go by now, unless another process does; ends after a batch when `stopping` is cancelled.
    ///
    /// On SQLite, which has one writer, several processes may do it at a time: they share the rows.
    ///
    /// # Errors
    /// [`DbErr`] when the database does not do it in time; what is deleted by then stays deleted.
    pub async fn run(&self, now: Timestamp, stopping: &CancellationToken) -> Result<Pruned, DbErr> {
        let mut right = Leadership::of(&self.database, RIGHT);
        if !right.ask().await? {
            return Ok(Pruned::Taken);
        }
        let ended = self.prune_all(&mut right, now, stopping).await;
        right.give_up().await;
        ended
    }

    /// Counts what [`Self::run`] would delete, and deletes nothing.
    ///
    /// # Errors
    /// [`DbErr`] when the database does not answer in time.
    pub async fn look(&self, now: Timestamp) -> Result<Vec<Found>, DbErr> {
        let connection = self.database.read();
        let mut found = Vec::new();
        for (table, pruning) in self.pruned() {
            let before = pruning.before(&self.retention, now);
            let counted = count(
                connection.get_database_backend(),
                (table, pruning),
                before,
                MOST_COUNTED,
            );
            let row = connection.query_one_raw(counted).await?;
            let rows: i64 = row.map_or(Ok(0), |row| row.try_get("", "found"))?;
            let rows = u64::try_from(rows).unwrap_or(0);
            found.push(Found {
                table: table.name,
                rows,
                is_cut: rows >= MOST_COUNTED,
            });
        }
        Ok(found)
    }

    /// The tables that have something to go.
    pub(super) fn pruned(&self) -> impl Iterator<Item = (&'static Table, &'static Pruning)> {
        let tables = self.tables.iter();
        tables.filter_map(|table| Some((table, table.pruning.as_ref()?)))
    }

    async fn prune_all(
        &self,
        right: &mut Leadership,
        now: Timestamp,
        stopping: &CancellationToken,
    ) -> Result<Pruned, DbErr> {
        let connection = self.database.write();
        let mut gone = Vec::new();
        for (table, pruning) in self.pruned() {
            let before = pruning.before(&self.retention, now);
            let statement = delete(connection.get_database_backend(), (table, pruning), before, BATCH);
            let mut rows = 0;
            loop {
                if !right.is_held().await {
                    return Ok(Pruned::Lost);
                }
                let deleted = connection.execute_raw(statement.clone()).await?.rows_affected();
                self.metrics.rows_pruned(table.name, deleted);
                rows += deleted;
                if deleted < BATCH || stopping.is_cancelled() {
                    break;
                }
                sleep(PAUSE).await;
            }
            gone.push((table.name, rows));
            if stopping.is_cancelled() {
                break;
            }
        }
        Ok(Pruned::Done(gone))
    }
}
