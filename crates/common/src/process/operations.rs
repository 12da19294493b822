//! The operations port, which is not for the public: `/livez`, `/readyz`, `/metrics`, `/version`, and what a service adds
//! below `/operations`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::guard::{Any, Get, Head};
use actix_web::http::StatusCode;
use actix_web::http::header::ALLOW;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{App, FromRequest, Handler, HttpResponse, Resource, Responder, web};
use bytes::Bytes;
use connections::{Listener, Slices};
use serde_json::json;

use super::{Health, State, Tasks, bounded, listen, own_names, own_server};
use crate::config::{Profile, Settings};
use crate::telemetry::{Metrics, lost_log_lines, lost_spans};

/// What requests in hand get at shutdown.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Adds pages to an operations port; called once by each of its threads.
pub type Pages = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// What the operations port of one service answers from.
pub struct Port {
    /// Asked for `/readyz`.
    pub health: Health,
    /// Read for `/metrics`.
    pub metrics: Metrics,
    /// The service's own pages, all below `/operations`.
    pub pages: Vec<Pages>,
}

/// Serves the operations port of one service until its tasks stop; answers with the bound address. Under development it
/// answers by the machine's own names and those of `operations.allowed_hosts` alone.
///
/// # Errors
/// An [`io::Error`] that names the setting when the port can't be taken.
pub fn serve(settings: &Settings, port: Port, tasks: &Tasks) -> io::Result<SocketAddr> {
    let Port { health, metrics, pages } = port;
    let service = tasks.service();
    let listener = listen(service, "operations", &settings.operations.address)?;
    let is_development = settings.profile == Profile::Development;
    let hosts = is_development.then(|| web::Data::new(settings.operations.allowed_hosts.clone()));
    let bound = listener.local_addr()?;
    metrics.at_each_reading(move |metrics| {
        metrics.log_lines_lost(lost_log_lines());
        metrics.spans_lost(lost_spans(service));
    });
    metrics.listens("operations");
    let counted = metrics.clone();
    let connections = bounded("operations", &settings.http, SHUTDOWN, move || {
        counted.connection_refused("operations");
    });
    let connections = Listener {
        workers: Some(1),
        ..connections
    };
    let server = connections.serve(listener, move || {
        App::new()
            .app_data(web::Data::new(health.clone()))
            .app_data(web::Data::new(metrics.clone()))
            .configure(|app| {
                if let Some(hosts) = &hosts {
                    app.app_data(hosts.clone());
                }
            })
            .service(page("/livez", || async {
                HttpResponse::Ok().json(json!({"status": "up"}))
            }))
            .service(page("/readyz", readyz))
            .service(page("/metrics", render))
            .service(page("/version", move || async move { version(service.name()) }))
            .configure(|app| pages.iter().for_each(|add| add(app)))
            .wrap(from_fn(own_names))
    })?;
    own_server("operations", server, tasks);
    Ok(bound)
}

/// A page for GET and HEAD. Every other method is answered 405.
fn page<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let other = || async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD"))
            .finish()
    };
    web::resource(path)
        .route(web::route().guard(Any(Get()).or(Head())).to(handler))
        .default_service(web::to(other))
}

async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let readiness = health.readiness().await;
    let status = match readiness.status {
        State::Down => StatusCode::SERVICE_UNAVAILABLE,
        State::Up | State::Degraded => StatusCode::OK,
    };
    HttpResponse::build(status).json(readiness)
}

async fn render(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(Slices::from(Bytes::from(metrics.render())))
}

fn version(service: &str) -> HttpResponse {
    HttpResponse::Ok().json(json!({"service": service, "version": env!("CARGO_PKG_VERSION")}))
}
