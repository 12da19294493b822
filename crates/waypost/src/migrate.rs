//! Makes and changes the tables of the three services.

use common::config::{Service, Settings};
use common::database::{Database, DatabaseError, Location};
use migrations::MigratorTrait;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr};

/// Name of the advisory lock that lets one migration run at a time on a PostgreSQL database.
const LOCK: &str = "SELECT pg_advisory_lock(hashtext('waypost.migrate'))";

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

/// Brings the tables of `service` up to date; does nothing when they are.
///
/// # Errors
/// [`MigrateError`] when the database can't be reached or refuses.
pub async fn migrate(settings: &Settings, service: Service) -> Result<(), MigrateError> {
    use secrecy::ExposeSecret;
    let failed = |source| MigrateError::Failed { service, source };
    let location = Location::of(settings.database.url.expose_secret(), service);
    if let Some(Location::Postgres { url, schema }) = location {
        return on_postgres(&url, schema, service).await.map_err(failed);
    }
    let database = Database::connect(settings, service).await?;
    let done = up(database.unguarded(), service).await;
    database.close().await;
    done.map_err(failed)
}

async fn on_postgres(url: &str, schema: &'static str, service: Service) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(url);
    // One connection: the lock belongs to it, and so do the migrations.
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| options.options([("search_path", schema)]));
    let connection = sea_orm::Database::connect(options).await?;
    connection.execute_unprepared(LOCK).await?;
    connection
        .execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))
        .await?;
    let done = up(&connection, service).await;
    connection.close().await?;
    done
}

async fn up(connection: &DatabaseConnection, service: Service) -> Result<(), DbErr> {
    match service {
        Service::UserApi => migrations::user_api::Migrator::up(connection, None).await,
        Service::EmailWorker => migrations::email_worker::Migrator::up(connection, None).await,
        Service::NotificationGateway => migrations::notification_gateway::Migrator::up(connection, None).await,
        Service::ProviderSandbox | Service::Waypost => Ok(()),
    }
}
