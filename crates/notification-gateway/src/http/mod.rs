//! The public surface: a person's own notifications.
//!
//! One operation a file. Every one of them begins with a [`Person`]: a good token. Rows are found
//! by that person's id, so another's notification is not there: 404.

mod change_state;
mod docs;
mod keys;
mod list;
mod list_deliveries;
mod page;
mod person;
mod read_all;
mod show;
mod stream;
mod unread_count;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use common::config;
use common::database::{Database, is_transient, within_deadline};
use common::http::{
    Edge, KEEP_ALIVE, Problem, api_docs, edge, kinds, not_found, only, own_server, problem_pages, readable,
};
use common::process::{Tasks, chain, listen};
use common::telemetry::Metrics;
use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;

use crate::notifications::Live;

pub(crate) use keys::Keys;
use person::Person;

/// Open streams must not hold up the end; they are told before.
const SHUTDOWN_S: u64 = 5;
/// Idle streams are cheap (22 kB each); the default of 25,000 would be the first limit.
const CONNECTIONS_A_WORKER: usize = 50_000;
/// When to try again after the database was away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the handlers need.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) database: Database,
    pub(crate) live: Live,
    pub(crate) keys: Arc<Keys>,
    pub(crate) metrics: Metrics,
    pub(crate) sample_ratio: f64,
    pub(crate) stopping: CancellationToken,
}

/// Serves until the tasks stop.
pub(crate) fn serve(settings: &config::Http, surface: Surface, tasks: &Tasks) -> io::Result<SocketAddr> {
    let listener = listen(tasks.service(), "http", &settings.address)?;
    let bound = listener.local_addr()?;
    let edge_data = Data::new(Edge {
        service: tasks.service(),
        metrics: surface.metrics.clone(),
        sample_ratio: surface.sample_ratio,
    });
    let surface = Data::new(surface);
    let public_url = settings.public_url.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(edge_data.clone())
            .app_data(surface.clone())
            .configure(|app| routes(app, &public_url))
            .default_service(not_found())
            .wrap(from_fn(edge))
    })
    .max_connections(CONNECTIONS_A_WORKER)
    .keep_alive(KEEP_ALIVE)
    .disable_signals()
    .shutdown_timeout(SHUTDOWN_S)
    .listen(listener)?
    .run();
    own_server("http", server, tasks);
    Ok(bound)
}

fn routes(config: &mut ServiceConfig, public_url: &str) {
    let list = |path: &str| web::resource(path.to_owned()).default_service(only("GET, HEAD"));
    config
        .service(list("/v1/notifications").route(readable().to(list::handle)))
        // Before `{id}`, which would match them.
        .service(list("/v1/notifications/unread-count").route(readable().to(unread_count::handle)))
        .service(
            web::resource("/v1/notifications/stream")
                .route(web::get().to(stream::handle))
                .default_service(only("GET")),
        )
        .service(
            web::resource("/v1/notifications/read-all")
                .route(web::post().to(read_all::handle))
                .default_service(only("POST")),
        )
        .service(
            web::resource("/v1/notifications/{id}")
                .route(readable().to(show::handle))
                .route(web::patch().to(change_state::handle))
                .default_service(only("GET, HEAD, PATCH")),
        )
        .service(list("/v1/notifications/{id}/deliveries").route(readable().to(list_deliveries::handle)))
        .service(problem_pages(&[]))
        .configure(|app| api_docs(app, docs::Document::openapi(), public_url));
}

/// Asks the database, within its deadline, and says what a person is told when it fails.
async fn asked<T>(work: impl Future<Output = Result<T, DbErr>>) -> Result<T, Problem> {
    within_deadline(work).await.map_err(|error| database_problem(&error))
}

/// The cause goes to the log, here and nowhere else.
fn database_problem(error: &DbErr) -> Problem {
    if is_transient(error) {
        tracing::warn!(error = chain(error), "a request found no database");
        return Problem::unavailable(RETRY_AFTER);
    }
    tracing::error!(error = chain(error), "a statement failed");
    Problem::new(&kinds::INTERNAL)
}
