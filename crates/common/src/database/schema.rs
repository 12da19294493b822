//! Whether the tables are those that this version of a service was built for.
//!
//! A service never changes its tables, and may find none: before the first `waypost migrate`, with an older set during
//! a roll-out in the wrong order, or when its database comes up after it. It says so, and goes on by itself once they
//! are there.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, SqlxError, Statement};
use tokio::time::{Instant, sleep, timeout};

use super::{Database, DatabaseError, cure, is_transient};
use crate::config::{Service, Settings};
use crate::process::{Finding, State, chain};
use crate::telemetry::Metrics;

/// How long a start waits for a database before it goes on without it.
const CHECK_TIMEOUT: Duration = Duration::from_millis(1500);
/// Longest that readiness waits for the pool: less than a whole check has, so that there is time to say why.
const LOOK: Duration = Duration::from_millis(900);
/// After so long without an answer, readiness looks whether it is the pool that has no connection.
const WHY: Duration = Duration::from_millis(300);
/// When the pool gives no connection in this time, readiness tries one of its own beside it, to learn why: the pool would
/// say that it has none after a second, when nobody listens any more.
const GIVES: Duration = Duration::from_millis(100);
/// What an operator is told.
const CURE: &str = "the tables are missing or older than this version: run `waypost migrate` with the same settings";

impl Database {
    /// Opens the database of a service that needs these migrations, and shows its pool in `metrics`.
    ///
    /// # Errors
    /// As [`Database::connect`] and [`Database::check_migrated`].
    pub async fn open(
        settings: &Settings,
        service: Service,
        names: &[String],
        metrics: &Metrics,
    ) -> Result<Self, DatabaseError> {
        let database = Self::connect(settings, service).await?;
        database.show_in(metrics);
        database.check_migrated(names).await?;
        Ok(database)
    }

    /// Checks that these migrations were applied. A database that can't be reached yet passes: the
    /// service starts, says that it is not ready, and works when the database is there.
    ///
    /// # Errors
    /// [`DatabaseError::NotMigrated`], which says what to run.
    pub async fn check_migrated(&self, names: &[String]) -> Result<(), DatabaseError> {
        match timeout(CHECK_TIMEOUT, self.has_applied(names)).await {
            Err(_) => tracing::warn!("the database does not answer yet"),
            Ok(Err(error)) if is_transient(&error) => {
                tracing::warn!(
                    error = chain(&error),
                    cure = cure(&error),
                    "the database can't be reached yet"
                );
            }
            Ok(Err(source)) => return Err(DatabaseError::NotMigrated { source: Some(source) }),
            Ok(Ok(false)) => return Err(DatabaseError::NotMigrated { source: None }),
            Ok(Ok(true)) => {}
        }
        Ok(())
    }

    /// For readiness: up when it answers and these migrations were applied, also when it was not so at the start.
    pub async fn readiness(&self, names: &[String]) -> Finding {
        let mut asked = pin!(timeout(LOOK, self.has_applied(names)));
        let mut why = pin!(async {
            sleep(WHY).await;
            self.cure_of_refusal().await
        });
        // The pool keeps it to itself why it gets no connection; what it answers in its time counts all the same.
        let (answer, refusal) = tokio::select! {
            answer = &mut asked => (answer, None),
            refusal = &mut why => (asked.await, refusal),
        };
        let error = match answer {
            Ok(Ok(true)) => return State::Up.into(),
            Ok(Ok(false)) => return Finding::down(CURE),
            Ok(Err(error)) if lacks_tables(&error) => return Finding::down(CURE),
            Ok(Err(error)) => cure(&error),
            Err(_) => None,
        };
        Finding {
            cure: error.or(refusal).map(Into::into),
            ..State::Down.into()
        }
    }

    /// What is to be done where the pool has no connection to give; `None`: it has one, or nobody knows. A statement that
    /// is slow is no reason to ask, and one question serves all who look.
    async fn cure_of_refusal(&self) -> Option<&'static str> {
        if !self.is_postgres() {
            return None;
        }
        let pool = self.unguarded().get_postgres_connection_pool();
        if matches!(timeout(GIVES, pool.acquire()).await, Ok(Ok(_))) {
            return None;
        }
        let question = async { self.refusal().await.as_ref().and_then(cure) };
        self.refusals().cure(question, Instant::now()).await
    }

    async fn has_applied(&self, names: &[String]) -> Result<bool, DbErr> {
        let backend = self.read().get_database_backend();
        let applied = Statement::from_string(backend, "SELECT version FROM seaql_migrations");
        let rows = self.for_health().query_all_raw(applied).await?;
        let applied: Vec<String> = rows.iter().filter_map(|row| row.try_get("", "version").ok()).collect();
        Ok(names.iter().all(|name| applied.contains(name)))
    }
}

/// Whether a database's error lies among the causes of this one and says that a table or column is not there.
///
/// The same statement succeeds once the tables are migrated: a caller should come again.
pub fn lacks_tables(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<DbErr>() {
            return is_undefined(error);
        }
        cause = error.source();
    }
    false
}

fn is_undefined(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let SqlxError::Database(error) = &**error else {
        return false;
    };
    match error.code().as_deref() {
        // undefined_table, undefined_column, invalid_schema_name
        Some("42P01" | "42703" | "3F000") => true,
        // SQLite has one code for all that a statement may have wrong.
        Some("1") => {
            let message = error.message();
            ["no such table", "no such column", "has no column named"]
                .iter()
                .any(|words| message.contains(words))
        }
        _ => false,
    }
}
