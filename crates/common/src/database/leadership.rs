//! One process of a service does what all could do; the others stand by, or leave it alone.

use std::time::Duration;

use sea_orm::sqlx::{self, Connection, PgConnection};
use sea_orm::{DbErr, RuntimeErr};

use super::connect::Database;
use super::deadline::within;

/// Longest that the lock's connection may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
/// Longest that the end waits for it; the lock goes with the connection all the same.
const GOODBYE: Duration = Duration::from_secs(1);
/// Makes the server notice within half a minute that a leader's machine is gone, and free the lock.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";
/// Advisory locks are per database, and three services may share one: the schema makes the key a service's own.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('waypost ' || $1 || ' ' || current_schema(), 0))";

/// Tells the process that has a right; the channel is the one that it listens on, by the same words.
const TELL: &str = "SELECT pg_notify('waypost ' || $1 || ' ' || md5(current_schema()), '')";

/// The right to do one thing for all processes of a service, held or asked for.
pub(crate) enum Leadership {
    /// `SQLite` serves one process: there is nobody else.
    Alone,
    /// PostgreSQL's advisory lock. It ends with its connection, which belongs to no pool: a pool
    /// would hand out the lock with it.
    Lock {
        database: Database,
        what: &'static str,
        connection: Option<PgConnection>,
    },
}

impl Leadership {
    /// The right to do `what`: all who ask by the same words ask for the same right.
    pub(crate) fn of(database: &Database, what: &'static str) -> Self {
        if database.is_postgres() {
            Self::Lock {
                database: database.clone(),
                what,
                connection: None,
            }
        } else {
            Self::Alone
        }
    }

    /// Asks for the right; `false`: another process has it.
    pub(crate) async fn ask(&mut self) -> Result<bool, DbErr> {
        let Self::Lock {
            database,
            what,
            connection,
        } = self
        else {
            return Ok(true);
        };
        // Whatever goes wrong closes the connection: an answer that was missed may have been the lock.
        let kept = connection.take();
        let asking = async {
            let mut asked = match kept {
                Some(kept) => kept,
                None => connect(database).await.map_err(lost)?,
            };
            let asking = sqlx::query_scalar(LOCK).bind(*what);
            let locked: bool = asking.fetch_one(&mut asked).await.map_err(lost)?;
            Ok::<_, DbErr>((asked, locked))
        };
        let (asked, locked) = within(ANSWER, asking).await?;
        *connection = Some(asked);
        Ok(locked)
    }

    /// Whether the right still holds: the connection lives, and with it the lock.
    pub(crate) async fn is_held(&mut self) -> bool {
        let Self::Lock { connection, .. } = self else {
            return true;
        };
        let Some(mut held) = connection.take() else {
            return false;
        };
        let alive = within(ANSWER, async { held.ping().await.map_err(lost) }).await.is_ok();
        *connection = alive.then_some(held);
        alive
    }

    /// Tells whoever listens on the channel of `what` that there is work. Who is not told finds it without that, later.
    pub(crate) async fn tell(&mut self, what: &'static str) {
        if let Self::Lock { connection, .. } = self
            && let Some(mut kept) = connection.take()
        {
            let telling = async { sqlx::query(TELL).bind(what).execute(&mut kept).await.map_err(lost) };
            *connection = within(ANSWER, telling).await.is_ok().then_some(kept);
        }
    }

    /// Gives the right to whoever asks next.
    pub(crate) async fn give_up(&mut self) {
        if let Self::Lock { connection, .. } = self
            && let Some(held) = connection.take()
        {
            let closing = async { held.close().await.map_err(lost) };
            let _ = within(GOODBYE, closing).await;
        }
    }
}

pub(crate) fn lost(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

async fn connect(database: &Database) -> Result<PgConnection, sqlx::Error> {
    let mut connection = database
        .unguarded()
        .get_postgres_connection_pool()
        .acquire()
        .await?
        .detach();
    sqlx::raw_sql(KEEPALIVE).execute(&mut connection).await?;
    Ok(connection)
}
