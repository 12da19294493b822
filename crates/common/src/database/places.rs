//! How many connections a PostgreSQL server has left, and why it gives none.

use std::sync::Arc;

use sea_orm::sqlx::{Connection, PgConnection};
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement};

use super::Database;

/// How many connections somebody who is no superuser may still open. `pg_stat_activity` shows every user which sessions
/// are clients'; only what they do is hidden. The session that asks is not counted: it is about to go.
const LEFT: &str = "SELECT most - kept - used AS free, most FROM (SELECT
    current_setting('max_connections')::bigint AS most,
    current_setting('superuser_reserved_connections')::bigint
        + coalesce(current_setting('reserved_connections', true), '0')::bigint AS kept,
    (SELECT count(*) FROM pg_stat_activity
        WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND pid <> pg_backend_pid()) AS used) AS places";

/// The places for connections on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// How many are free for a service.
    pub free: u64,
    /// How many there are: `max_connections`.
    pub most: u64,
}

impl Database {
    /// Why a PostgreSQL server takes no connection, when `error` says that the pool got none in its time. The pool keeps
    /// the reason to itself: it tries a full, a starting and an absent server alike until then. So one connection is tried
    /// beside it, with no deadline of its own. Any other error stays what it is.
    pub async fn why_no_connection(&self, error: DbErr) -> DbErr {
        if !matches!(error, DbErr::ConnectionAcquire(_)) {
            return error;
        }
        self.refusal().await.unwrap_or(error)
    }

    /// Tries one connection beside the pool, with no deadline of its own, and says why the server takes none. `None`: it
    /// takes one, or this is SQLite, which has no server.
    pub(super) async fn refusal(&self) -> Option<DbErr> {
        if !self.is_postgres() {
            return None;
        }
        let options = self.unguarded().get_postgres_connection_pool().connect_options();
        match PgConnection::connect_with(&options).await {
            Ok(connection) => {
                let _ = connection.close().await;
                None
            }
            Err(refused) => Some(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(refused)))),
        }
    }

    /// How many connections the server has left; `None` on SQLite, which has no server.
    ///
    /// # Errors
    /// [`DbErr`] when it does not answer.
    pub async fn places(&self) -> Result<Option<Places>, DbErr> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let asked = Statement::from_string(self.read().get_database_backend(), LEFT);
        let Some(row) = self.for_health().query_one_raw(asked).await? else {
            return Ok(None);
        };
        let number = |name| {
            row.try_get("", name)
                .map(|count: i64| u64::try_from(count).unwrap_or(0))
        };
        Ok(Some(Places {
            free: number("free")?,
            most: number("most")?,
        }))
    }
}
