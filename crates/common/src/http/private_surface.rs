//! Rows on a port that is not for the public: the edge and a check of who is let in stand around them, but no limits.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};

use super::edge::{Edge, edge};
use super::endpoint::Endpoint;
use super::pages::problem_pages;
use super::{Problem, kinds};
use crate::config::{Profile, Service, Settings};
use crate::telemetry::Metrics;

/// Says who is let in, before anything else of the request is read.
type Admit = Arc<dyn Fn(&ServiceRequest) -> Result<(), Problem> + Send + Sync>;

/// What stands around such rows. Each request is recorded, unless a caller who is trusted says otherwise.
#[derive(Clone)]
pub struct PrivateSurface {
    edge: Data<Edge>,
    admit: Admit,
}

impl PrivateSurface {
    /// The surface of one service. `admit` says who is let in: a problem that it returns refuses the request.
    pub fn new(
        (service, settings): (Service, &Settings),
        metrics: &Metrics,
        admit: impl Fn(&ServiceRequest) -> Result<(), Problem> + Send + Sync + 'static,
    ) -> Self {
        let edge = Edge {
            service,
            metrics: metrics.clone(),
            // Few come here, and what they do is worth a trace.
            sample_ratio: 1.0,
            trusts_callers: settings.telemetry.trust_callers,
            shows_timing: settings.profile != Profile::Production,
            // Nobody reaches it by the public URL.
            prefix: String::new(),
        };
        Self {
            edge: Data::new(edge),
            admit: Arc::new(admit),
        }
    }

    /// Serves these rows, whose paths all begin with `below`, and the pages of the problems.
    pub fn mount(&self, app: &mut ServiceConfig, below: &str, rows: impl IntoIterator<Item = Endpoint>) {
        let admit = Arc::clone(&self.admit);
        let guard = move |request: ServiceRequest, next: Next<_>| {
            let admitted = admit(&request);
            async move {
                match admitted {
                    Ok(()) => next.call(request).await,
                    Err(problem) => Ok(request.error_response(problem)),
                }
            }
        };
        let scope = web::scope(below)
            .configure(|app| rows.into_iter().for_each(|row| row.mount_below(below, app)))
            .default_service(web::to(not_found))
            .wrap(from_fn(guard))
            .wrap(from_fn(edge));
        app.app_data(self.edge.clone()).service(scope);
        problem_pages(app, kinds::ALL.to_vec());
    }
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(&kinds::NOT_FOUND))
}
