//! The ceiling of a cache in Redis: a handler that answers what one GET over a multiplexed connection gives.

use actix_web::{
    App, HttpResponse, HttpServer,
    error::ErrorBadGateway,
    rt,
    web::{self, Data},
};
use deadpool_redis::redis::{Client, aio::MultiplexedConnection, cmd};

use super::ceiling::variable;

/// Variable with the key that is read.
pub(crate) const REDIS_KEY: &str = "BENCH_REDIS_KEY";

#[derive(Clone)]
struct Source {
    connection: MultiplexedConnection,
    key: String,
}

pub(super) fn serve() -> anyhow::Result<()> {
    let key = variable(REDIS_KEY)?;
    let (address, url) = (variable("WAYPOST__HTTP__ADDRESS")?, variable("WAYPOST__STORE__URL")?);
    rt::System::new().block_on(async move {
        let connection = Client::open(url)?.get_multiplexed_async_connection().await?;
        let source = Source { connection, key };
        HttpServer::new(move || {
            App::new()
                .app_data(Data::new(source.clone()))
                .route("/v1/users/{id}", web::get().to(answer))
        })
        .workers(1)
        .bind(address)?
        .run()
        .await?;
        Ok(())
    })
}

async fn answer(source: Data<Source>) -> actix_web::Result<HttpResponse> {
    let mut connection = source.connection.clone();
    let value: Vec<u8> = cmd("GET")
        .arg(&source.key)
        .query_async(&mut connection)
        .await
        .map_err(ErrorBadGateway)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(value))
}
