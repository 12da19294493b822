//! The public HTTP surface of a service: the same layers and bounds for every one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse};

use super::cors::cors;
use super::edge::{Edge, edge};
use super::endpoint::public;
use super::limit::Limits;
use super::pages::{Assets, api_docs, problem_pages};
use super::route_table::RouteTable;
use super::shed::Shedder;
use super::verifier::Verifier;
use super::{Problem, kinds};
use crate::config::{Origins, Profile, Settings};
use crate::limits::Limiter;
use crate::process::{Tasks, bounded, listen, own_server};
use crate::store::Store;
use crate::telemetry::Metrics;

/// How long requests under way may still take at shutdown; below the drain time.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// What a service serves.
pub struct Surface<S> {
    /// Its routes.
    pub routes: fn() -> RouteTable,
    /// What its operations work with.
    pub state: Arc<S>,
    /// Checks the tokens of its callers.
    pub verifier: Verifier,
    /// Holds the limits of its classes.
    pub limiter: Limiter,
    /// What its requests ask: each thread that serves them gets a connection of its own.
    pub store: Store,
    /// Which protections stand.
    pub doors: Doors,
    /// Where requests are counted.
    pub metrics: Metrics,
}

/// The protections of a surface that can be left out, to measure what each costs. All stand by default.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// The rate limits.
    pub rate_limits: bool,
    /// The concurrency limits, which shed what could only be served too late.
    pub concurrency_limits: bool,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            rate_limits: true,
            concurrency_limits: true,
        }
    }
}

/// Serves the surface of one service in the background until its tasks stop; returns the bound address at once.
///
/// The layers, outside in: CORS where other origins are allowed, the edge (trace, problem documents, durations), the
/// route, the bound of its query, its concurrency limit, its rate limit, its handler.
///
/// # Errors
/// An [`io::Error`] that names the setting when the port can't be taken; another when the server can't be started.
pub fn serve<S: Send + Sync + 'static>(
    settings: &Settings,
    surface: Surface<S>,
    tasks: &Tasks,
) -> io::Result<SocketAddr> {
    let listener = listen(tasks.service(), "http", &settings.http.address)?;
    let bound = listener.local_addr()?;
    let edge_data = Data::new(Edge {
        service: tasks.service(),
        metrics: surface.metrics.clone(),
        sample_ratio: settings.telemetry.sample_ratio,
        trusts_callers: settings.telemetry.trust_callers,
        shows_timing: settings.profile != Profile::Production,
        prefix: settings.http.path_prefix(),
    });
    let proxies = Data::new(settings.http.trusted_proxies.clone());
    let limits = surface
        .doors
        .rate_limits
        .then(|| Data::new(Limits::new(surface.limiter)));
    let origins = &settings.http.allowed_origins;
    let origins = (*origins != Origins::None).then(|| Data::new(origins.clone()));
    let (state, verifier) = (Data::from(surface.state), Data::new(surface.verifier));
    let routes = surface.routes;
    // Once: each worker builds its own app, and all serve the same pages.
    let assets = Assets::new(routes().openapi(), &settings.http.public_url).map_err(io::Error::other)?;
    let (assets, kinds) = (Arc::new(assets), routes().kinds());
    let operations = routes().operations();
    let shedder = surface
        .doors
        .concurrency_limits
        .then(|| Shedder::new(settings.overload, operations, surface.metrics.clone()));
    let metrics = surface.metrics;
    let store = surface.store;
    metrics.listens("http");
    let connections = bounded("http", &settings.http, SHUTDOWN, move || {
        metrics.connection_refused("http");
    });
    let server = connections.serve(listener, move || {
        store.connect_this_thread();
        let kinds = kinds.clone();
        App::new()
            .app_data(state.clone())
            .app_data(verifier.clone())
            .app_data(edge_data.clone())
            .app_data(proxies.clone())
            .configure(|app| {
                if let Some(limits) = &limits {
                    app.app_data(limits.clone());
                }
                if let Some(origins) = &origins {
                    app.app_data(origins.clone());
                }
                routes().configure(app, shedder.as_ref());
            })
            .configure(|app| problem_pages(app, kinds))
            .configure(|app| api_docs(app, &assets))
            .default_service(public(web::to(not_found)))
            .wrap(from_fn(edge))
            .wrap(Condition::new(origins.is_some(), from_fn(cors)))
    })?;
    own_server("http", server, tasks);
    Ok(bound)
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(&kinds::NOT_FOUND))
}
