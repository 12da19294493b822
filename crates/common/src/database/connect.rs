//! A service's database: how it is opened, asked and closed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::authorities::{TrustError, authorities, trusting};
use super::connection::{Connection, PATIENCE};
use super::deadline::{DEADLINE, SQLITE_PATIENT_DEADLINE, no_place, until};
use super::errors::is_transient;
use super::location::Location;
use super::refusals::Refusals;
use super::span::StatementSpan;
use super::suspects::{is_usable, look_at, note_broken};
use super::transaction::Transaction;
use crate::config::{Service, Settings};
use crate::private_files::{close_to_others, make_file, make_folder};
use crate::resilience::Bulkhead;
use crate::telemetry::Metrics;
use crate::tls::Authorities;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// A transaction that does nothing for so long is broken off by the server.
const IDLE_IN_TRANSACTION: &str = "5s";
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 4;
/// The folder of the built-in `database.url`, which is there for our data alone.
const OWN_FOLDER: &str = ".waypost";
/// Closing waits for connections in use; at shutdown nobody may wait for ever.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a service has no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is for something else.
    #[error("database.url must begin with postgres:// or sqlite://")]
    Scheme,
    /// The file or its folder can't be made.
    #[error("the database file {file} can't be made")]
    Folder {
        /// The file.
        file: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It lacks tables, or has older ones.
    #[error(
        "the tables of this service are missing or old: run `waypost migrate` with the same settings, then start again"
    )]
    NotMigrated {
        /// Why they could not be read, when that was the reason.
        #[source]
        source: Option<DbErr>,
    },
    /// Who may vouch for it is not known.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It could not be opened.
    #[error("the database can't be opened ({location:?})")]
    Open {
        /// Which.
        location: Location,
        /// Why not.
        #[source]
        source: DbErr,
    },
}

/// One service's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    write: Connection,
    read: Connection,
    /// Bounds statements that read, and transactions, so that neither leaves the other without a connection.
    reads: Bulkhead,
    writes: Bulkhead,
    /// Why the server takes no connection, as readiness knows it.
    refusals: Refusals,
    is_postgres: bool,
}

impl Database {
    /// Opens the database of `service`.
    ///
    /// PostgreSQL need not be there yet: connections are made when they are needed, and again when
    /// they break. SQLite gets one writer, whose queue is fair, and a few readers beside it.
    ///
    /// # Errors
    /// [`DatabaseError`] when the URL is none of ours, the authorities can't be used, or the file can't be opened.
    pub async fn connect(settings: &Settings, service: Service) -> Result<Self, DatabaseError> {
        let url = settings.database.url.expose_secret();
        let location = Location::of(url, service).ok_or(DatabaseError::Scheme)?;
        let opened = match &location {
            Location::Postgres { url, schema } => {
                let authorities = authorities(settings)?;
                postgres((url, authorities), schema, settings.database.max_connections).await
            }
            Location::Sqlite { url, file } => {
                private_file(file).map_err(|source| DatabaseError::Folder {
                    file: file.display().to_string(),
                    source,
                })?;
                sqlite(url).await
            }
        };
        opened.map_err(|source| DatabaseError::Open { location, source })
    }

    /// For reads that need no transaction.
    pub fn read(&self) -> &Connection {
        &self.read
    }

    /// For readiness, whose answer must not wait until readers have left.
    pub(super) fn for_health(&self) -> Connection {
        self.read.unbounded()
    }

    /// Why the server takes no connection, as readiness knows it.
    pub(super) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// For single statements of the relay and the dispatcher, which write.
    pub(crate) fn write(&self) -> &Connection {
        &self.write
    }

    /// For single statements that write for somebody who waits: bounded as transactions are.
    pub(crate) fn write_for_a_request(&self) -> Connection {
        self.write.clone().behind(self.writes.clone())
    }

    /// For migrations, and for tests that look inside or break something. What is awaited on it has no deadline.
    ///
    /// A service writes through a [`Change`](crate::messaging::Change) and nothing else.
    pub fn unguarded(&self) -> &DatabaseConnection {
        self.write.pool()
    }

    /// Whether this is PostgreSQL; otherwise it is SQLite.
    pub fn is_postgres(&self) -> bool {
        self.is_postgres
    }

    /// Begins a transaction that writes, and gives it and all its statements `limit`.
    ///
    /// On SQLite it takes the write lock at once, so that reading before writing can't fail; a connection that
    /// turns out to be dead is replaced once.
    ///
    /// # Errors
    /// [`DbErr`] when on PostgreSQL no place is free within half a second or no connection within a second, or when
    /// SQLite's writer is busy for too long.
    pub(crate) async fn begin(&self, limit: Duration) -> Result<Transaction, DbErr> {
        self.begin_with(limit, if self.is_postgres { PATIENCE } else { limit })
            .await
    }

    /// As [`Self::begin`] for what nobody waits for: it waits for its place as long as it has time.
    pub(crate) async fn begin_patiently(&self, limit: Duration) -> Result<Transaction, DbErr> {
        self.begin_with(limit, limit).await
    }

    async fn begin_with(&self, limit: Duration, patience: Duration) -> Result<Transaction, DbErr> {
        let backend = self.write.get_database_backend();
        StatementSpan::of(backend, "BEGIN")
            .around(self.begin_in_a_place(limit, patience))
            .await
    }

    async fn begin_in_a_place(&self, limit: Duration, patience: Duration) -> Result<Transaction, DbErr> {
        let deadline = Instant::now() + limit;
        let place = self.writes.enter_within(patience).await.ok_or_else(no_place)?;
        let begun = until(deadline, async {
            match self.write.pool().begin_with_options(writing()).await {
                Err(error) if is_transient(&error) && !is_pool_exhausted(&error) => {
                    note_broken();
                    self.write.pool().begin_with_options(writing()).await
                }
                other => other,
            }
        });
        Ok(Transaction::new(begun.await?, deadline, place))
    }

    /// How long work on it may take that nobody waits for, a message or an outcome.
    pub(crate) fn patience(&self) -> Duration {
        if self.is_postgres {
            DEADLINE
        } else {
            SQLITE_PATIENT_DEADLINE
        }
    }

    /// Shows the pool in `metrics`, as it is at each reading (`waypost_database_connections`).
    pub fn show_in(&self, metrics: &Metrics) {
        self.reads.show_in(metrics, "database_reads");
        self.writes.show_in(metrics, "database_writes");
        let Self { write, read, .. } = self.clone();
        let is_postgres = self.is_postgres;
        metrics.at_each_reading(move |metrics| {
            let [used, idle, limit] = connections_of(write.pool());
            // On PostgreSQL both are one pool.
            let more = if is_postgres {
                [0; 3]
            } else {
                connections_of(read.pool())
            };
            metrics.database_connections(used + more[0], idle + more[1], limit + more[2]);
        });
    }

    /// Asks whether the database answers.
    ///
    /// # Errors
    /// [`DbErr`] when it does not, within 2.5 s.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.for_health().execute_unprepared("SELECT 1").await.map(|_| ())
    }

    /// Closes all connections, within two seconds.
    pub async fn close(self) {
        let closing = async {
            let _ = self.read.close().await;
            let _ = self.write.close().await;
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

/// Connections that somebody uses, those that wait, and how many there may be.
fn connections_of(connection: &DatabaseConnection) -> [u32; 3] {
    let (size, idle, limit) = if connection.get_database_backend() == DbBackend::Postgres {
        let pool = connection.get_postgres_connection_pool();
        (pool.size(), pool.num_idle(), pool.options().get_max_connections())
    } else {
        let pool = connection.get_sqlite_connection_pool();
        (pool.size(), pool.num_idle(), pool.options().get_max_connections())
    };
    let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
    [size - idle, idle, limit]
}

fn writing() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    }
}

fn is_pool_exhausted(error: &DbErr) -> bool {
    matches!(error, DbErr::ConnectionAcquire(_))
}

async fn postgres(
    (url, authorities): (&str, Option<Authorities>),
    schema: &'static str,
    connections: u32,
) -> Result<Database, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .statement_timeout(STATEMENT_TIMEOUT)
        .connect_lazy(true)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            let options = options.options([
                ("search_path", schema),
                ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
            ]);
            trusting(options, authorities.as_ref())
        })
        // The pool's own test has no deadline.
        .test_before_acquire(false)
        .map_sqlx_postgres_before_acquire(|connection, about| {
            Box::pin(async move { Ok(is_usable(connection, about.idle_for).await) })
        })
        .map_sqlx_postgres_pool_opts(|pool| pool.after_release(|connection, _| Box::pin(look_at(connection))));
    let pool = Connection::new(sea_orm::Database::connect(options).await?, DEADLINE);
    // Either may take three quarters of the connections: a quarter is left for the other.
    let share = usize::try_from(connections - connections / 4).unwrap_or(usize::MAX);
    let (reads, writes) = (Bulkhead::new(share), Bulkhead::new(share));
    Ok(Database {
        read: pool.clone().behind(reads.clone()),
        write: pool,
        reads,
        writes,
        refusals: Refusals::default(),
        is_postgres: true,
    })
}

/// Makes the file, and its folder, for the owner alone. SQLite gives `-wal` and `-shm` the rights of the file. What is there
/// and open to others is closed to them: the files, and the folder where it is [`OWN_FOLDER`]; another may hold what is no
/// concern of ours.
fn private_file(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        make_folder(folder)?;
    }
    make_file(file)?;
    let beside = ["", "-wal", "-shm"].map(|end| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    });
    let folder = file.parent().filter(|folder| folder.ends_with(OWN_FOLDER));
    close_to_others(beside.iter().map(PathBuf::as_path).chain(folder));
    Ok(())
}

async fn sqlite(url: &str) -> Result<Database, DbErr> {
    let mut writer = ConnectOptions::new(url);
    writer
        .max_connections(1)
        .acquire_timeout(SQLITE_BUSY_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // A power cut takes nothing back that was committed; with NORMAL it takes the last commits.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(SQLITE_BUSY_TIMEOUT)
                .foreign_keys(true)
        });
    let mut readers = ConnectOptions::new(url);
    readers
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| options.read_only(true).busy_timeout(SQLITE_BUSY_TIMEOUT));
    // The writer first: it makes the file that the readers open.
    let write = Connection::new(sea_orm::Database::connect(writer).await?, SQLITE_PATIENT_DEADLINE);
    let read = Connection::new(sea_orm::Database::connect(readers).await?, DEADLINE);
    let reads = Bulkhead::new(usize::try_from(SQLITE_READERS).unwrap_or(usize::MAX));
    Ok(Database {
        write,
        read: read.behind(reads.clone()),
        reads,
        writes: Bulkhead::new(1),
        refusals: Refusals::default(),
        is_postgres: false,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_was_open_is_closed_where_it_is_for_our_data_alone() {
        let folder = test_support::Folder::create();
        for (name, mode) in [(OWN_FOLDER, 0o700), ("data", 0o755)] {
            let parent = folder.path().join(name);
            create_dir(&parent).unwrap();
            set_permissions(&parent, Permissions::from_mode(0o755)).unwrap();
            private_file(&parent.join("w.db")).unwrap();
            assert_eq!(metadata(&parent).unwrap().permissions().mode() & 0o777, mode, "{name}");
        }
    }
}
