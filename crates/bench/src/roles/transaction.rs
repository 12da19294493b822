//! The ceiling of a sign-up: a handler that writes the same two rows in one transaction, and nothing else.

use actix_web::{
    App, HttpResponse, HttpServer,
    error::ErrorBadGateway,
    rt,
    web::{self, Bytes, Data},
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, Statement, TransactionTrait, Value,
};
use uuid::Uuid;

use super::ceiling::variable;
use crate::sample::sample_message;

/// As many connections as the API has.
const CONNECTIONS: u32 = 16;

#[derive(Clone)]
struct Rows {
    pool: DatabaseConnection,
    kind: String,
    headers: String,
}

pub(super) fn serve() -> anyhow::Result<()> {
    let (address, url) = (variable("WAYPOST__HTTP__ADDRESS")?, variable("WAYPOST__DATABASE__URL")?);
    let sample = sample_message()?;
    let (kind, headers) = (sample.kind().to_owned(), serde_json::to_string(sample.headers())?);
    rt::System::new().block_on(async move {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(CONNECTIONS)
            .sqlx_logging(false)
            .test_before_acquire(false)
            .map_sqlx_postgres_opts(|options| options.options([("search_path", "user_api")]));
        let pool = Database::connect(options).await?;
        let rows = Rows { pool, kind, headers };
        HttpServer::new(move || {
            App::new()
                .app_data(Data::new(rows.clone()))
                .route("/v1/users", web::post().to(write))
        })
        .workers(1)
        .bind(address)?
        .run()
        .await?;
        Ok(())
    })
}

async fn write(rows: Data<Rows>, body: Bytes) -> actix_web::Result<HttpResponse> {
    rows.write(&body).await.map_err(ErrorBadGateway)?;
    Ok(HttpResponse::Created().content_type("application/json").body(body))
}

impl Rows {
    async fn write(&self, body: &[u8]) -> Result<(), DbErr> {
        let (id, now) = (Uuid::now_v7(), common::Timestamp::now().as_micros());
        let address = format!("{}@bench.example", id.simple());
        let user = "INSERT INTO users (id, email, email_key, name, locale, time_zone, status, email_verified, roles, \
                    password_hash, version, created_at, updated_at) \
                    VALUES ($1, $2, $2, $3, 'en', $4, 'active', false, '[]', $5, 1, $6, $6)";
        let user_values: [Value; 6] = [
            id.into(),
            address.into(),
            "Ada Lovelace".into(),
            "Europe/London".into(),
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g".into(),
            now.into(),
        ];
        let event = "INSERT INTO outbox (aggregate, message_id, type, headers, body, created_at) \
                     VALUES ($1, $2, $3, $4::jsonb, $5, $6)";
        let event_values: [Value; 6] = [
            id.into(),
            Uuid::now_v7().into(),
            self.kind.as_str().into(),
            self.headers.as_str().into(),
            body.to_vec().into(),
            now.into(),
        ];
        let transaction = self.pool.begin().await?;
        let backend = transaction.get_database_backend();
        transaction
            .execute_raw(Statement::from_sql_and_values(backend, user, user_values))
            .await?;
        transaction
            .execute_raw(Statement::from_sql_and_values(backend, event, event_values))
            .await?;
        transaction.commit().await
    }
}
