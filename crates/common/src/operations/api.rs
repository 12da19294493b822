//! The rows of a service's operations API, as its operations port serves them.

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};

use super::guard::Guard;
use super::list_audit::list_audit;
use super::list_breakers::list_breakers;
use super::set_breaker::set_breaker;
use super::state::State;
use crate::config::{Service, Settings};
use crate::http::{Class, Endpoint, PrivateSurface};
use crate::messaging::Changes;
use crate::process::operations::Pages;
use crate::resilience::Breakers;
use crate::telemetry::Metrics;

/// What all paths of the API begin with.
const BELOW: &str = "/operations";

/// The operations API of one service.
pub struct Api {
    surface: PrivateSurface,
    is_closed: bool,
    parts: Vec<Part>,
}

/// Some rows of the API, and the state that their handlers work with.
#[derive(Clone)]
struct Part {
    rows: fn() -> Vec<Endpoint>,
    state: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
}

impl Api {
    /// The frame of the API: breakers and the audit.
    pub fn new(
        (service, settings): (Service, &Settings),
        metrics: &Metrics,
        changes: Changes,
        breakers: Breakers,
    ) -> Self {
        let guard = Guard::new(settings, metrics);
        let is_closed = guard.is_closed();
        let surface = PrivateSurface::new((service, settings), metrics, move |request| guard.admit(request));
        let mut api = Self {
            surface,
            is_closed,
            parts: Vec::new(),
        };
        api.add(Arc::new(State { changes, breakers }), rows);
        api
    }

    /// Adds rows of the service's own, whose paths begin with `/operations`, and what they work with.
    pub fn add<S: Send + Sync + 'static>(&mut self, state: Arc<S>, rows: fn() -> Vec<Endpoint>) {
        let state = Data::from(state);
        let state = Arc::new(move |app: &mut ServiceConfig| {
            app.app_data(state.clone());
        });
        self.parts.push(Part { rows, state });
    }

    /// What the operations port serves of the API. Says in the log when nobody can be let in.
    pub fn pages(&self) -> Pages {
        if self.is_closed {
            tracing::info!("the operations API answers 404: set operations.token to have it");
        }
        let (surface, parts) = (self.surface.clone(), self.parts.clone());
        Arc::new(move |app| {
            for part in &parts {
                (part.state)(app);
            }
            surface.mount(app, BELOW, parts.iter().flat_map(|part| (part.rows)()));
        })
    }
}

/// The rows that every service has. Their classes only describe them: no rate limit is applied here.
fn rows() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/operations/breakers").get(
            Class::Read,
            "List the circuit breakers of this process",
            list_breakers,
        ),
        Endpoint::at("/operations/breakers/{destination}").put(
            Class::Write,
            "Have a circuit breaker of this process decide, or not",
            set_breaker,
        ),
        Endpoint::at("/operations/audit").get(Class::Read, "List what operators did, the newest first", list_audit),
    ]
}
