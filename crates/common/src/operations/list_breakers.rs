//! `GET /operations/breakers`: how the breakers of this process stand.

use std::time::Instant;

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::listed::Listed;
use super::state::State;
use crate::http::{Answer, Found};
use crate::resilience::{BreakerMode, BreakerState, BreakerView};

/// A breaker as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Breaker)]
pub(super) struct View {
    /// What it guards.
    destination: String,
    /// What it does with a call.
    #[schema(value_type = String, example = "closed")]
    state: BreakerState,
    /// Whether it decides.
    #[schema(value_type = String, example = "on")]
    mode: BreakerMode,
    /// Seconds until it decides again by itself; null while it does, or when somebody has to say so.
    #[schema(required)]
    mode_ends_in_s: Option<u64>,
    /// Calls that count at present.
    calls: usize,
    /// Of these, those that failed.
    failed: usize,
    /// Of these, those that took longer than a call should.
    slow: usize,
}

impl View {
    fn new(destination: &str, view: &BreakerView) -> Self {
        let counted = view.counted;
        Self {
            destination: destination.to_owned(),
            state: view.state,
            mode: view.mode,
            // Rounded up: what is not over is not shown as over.
            mode_ends_in_s: view
                .mode_ends_in
                .map(|left| left.as_secs() + u64::from(left.subsec_nanos() > 0)),
            calls: counted.calls,
            failed: counted.failed,
            slow: counted.slow,
        }
    }
}

/// Lists all of them: there are never more than there are destinations.
pub(super) async fn list_breakers(state: Data<State>) -> Answer<Found<Listed<View>>> {
    let views = state.breakers.views(Instant::now());
    Answer::found(&Listed {
        items: views.iter().map(|(name, view)| View::new(name, view)).collect(),
        next_cursor: None,
    })
}
