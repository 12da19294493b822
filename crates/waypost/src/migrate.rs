//! Makes and changes the tables of the three services.

use std::time::Duration;

use common::config::{Service, Settings};
use common::database::{Database, DatabaseError, Location, authorities, trusting};
use common::tls::Authorities;
use migrations::{Migrations, MigratorTraitSelf, Owner};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqlxError, Statement};

/// Asks for the advisory lock that lets one migration run at a time on a PostgreSQL database.
///
/// The statement answers at once and is repeated. A statement that waits for the lock would never get it: its holder, when
/// it builds an index `CONCURRENTLY`, waits for every statement that runs.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('waypost.migrate')) AS is_ours";
/// How often the lock is asked for, with the pause below: half an hour, as another migration may index a large table.
const LOCK_TRIES: u32 = 3_600;
const LOCK_PAUSE: Duration = Duration::from_millis(500);
/// Longest that a change of a table waits for those who use the table. Statements that come meanwhile wait behind it, and a
/// service's statement has two seconds.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '1s'";
/// How often a migration is tried while its table is in use, and the pause between, in which others get through.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// Why the tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database can't be opened.
    #[error(transparent)]
    Open(#[from] DatabaseError),
    /// A migration failed.
    #[error("the tables of {service} could not be brought up to date")]
    Failed {
        /// Whose.
        service: Service,
        /// Why not.
        #[source]
        source: DbErr,
    },
}

/// The migrations of `service`; none where it has no tables.
pub fn tables_of(service: Service) -> Option<Migrations> {
    let owner = match service {
        Service::UserApi => Owner::UserApi,
        Service::EmailWorker => Owner::EmailWorker,
        Service::NotificationGateway => Owner::NotificationGateway,
        Service::ProviderSandbox | Service::Waypost => return None,
    };
    Some(migrations::of(owner))
}

/// Brings the tables of `service` up to date; does nothing when they are.
///
/// # Errors
/// [`MigrateError`] when the database can't be reached or refuses.
pub async fn migrate(settings: &Settings, service: Service) -> Result<(), MigrateError> {
    use secrecy::ExposeSecret;
    let failed = |source| MigrateError::Failed { service, source };
    let location = Location::of(settings.database.url.expose_secret(), service);
    if let Some(Location::Postgres { url, schema }) = location {
        let authorities = authorities(settings).map_err(DatabaseError::from)?;
        return on_postgres((&url, authorities), schema, service).await.map_err(failed);
    }
    let database = Database::connect(settings, service).await?;
    let done = up(database.unguarded(), service).await;
    database.close().await;
    done.map_err(failed)
}

async fn on_postgres(
    (url, authorities): (&str, Option<Authorities>),
    schema: &'static str,
    service: Service,
) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(url);
    // One connection, which holds the lock and runs the migrations. The pool must not replace it for its age.
    options
        .max_connections(1)
        .max_lifetime(None::<Duration>)
        .idle_timeout(None::<Duration>)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            trusting(options.options([("search_path", schema)]), authorities.as_ref())
        });
    let connection = sea_orm::Database::connect(options).await?;
    lock(&connection, service).await?;
    connection
        .execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
        .await?;
    connection.execute_unprepared(LOCK_TIMEOUT).await?;
    let mut done = up(&connection, service).await;
    for _ in 1..TRIES {
        if !done.as_ref().is_err_and(is_in_use) {
            break;
        }
        tracing::warn!(%service, "a table is in use; its migration is tried again");
        tokio::time::sleep(PAUSE).await;
        done = up(&connection, service).await;
    }
    connection.close().await?;
    done
}

/// Takes the lock; waits for it for half an hour at most.
async fn lock(connection: &DatabaseConnection, service: Service) -> Result<(), DbErr> {
    for asked in 0..LOCK_TRIES {
        let asking = Statement::from_string(connection.get_database_backend(), LOCK);
        let row = connection.query_one_raw(asking).await?;
        if row.is_some_and(|row| row.try_get("", "is_ours").unwrap_or(false)) {
            return Ok(());
        }
        if asked == 0 {
            tracing::info!(%service, "another migration runs; this one waits for it");
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(DbErr::Custom("another migration does not end".to_owned()))
}

/// Whether a lock was not to be had in time (`lock_not_available`), or two waited for each other (`deadlock_detected`).
///
/// The migration may then be tried again: it was rolled back, or it builds its index anew.
fn is_in_use(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    matches!(&**error, SqlxError::Database(error) if matches!(error.code().as_deref(), Some("55P03" | "40P01")))
}

async fn up(connection: &DatabaseConnection, service: Service) -> Result<(), DbErr> {
    match tables_of(service) {
        Some(migrations) => migrations.up(connection, None).await,
        None => Ok(()),
    }
}
