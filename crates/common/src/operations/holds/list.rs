//! `GET /operations/holds`: what is held, and what can be.

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::State;
use crate::Timestamp;
use crate::database::within_deadline;
use crate::dispatch::holds::{self, Model};
use crate::http::{Answer, Found, OperationError};

/// The holds of a service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Holds)]
pub(super) struct Page {
    items: Vec<View>,
    /// Always null: there are never more than there are destinations.
    #[schema(required)]
    next_cursor: Option<String>,
    /// What can be held.
    destinations: Vec<String>,
}

/// A destination that is held.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
struct View {
    destination: String,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Seconds until it ends by itself.
    ends_in_s: u64,
    /// Why.
    reason: String,
    /// Who said so, by their own word.
    who: String,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl View {
    fn new(hold: Model, now: Timestamp) -> Self {
        let left = hold.until.since(now);
        Self {
            destination: hold.destination,
            until: hold.until,
            // Rounded up: what is not over is not shown as over.
            ends_in_s: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            reason: hold.reason,
            who: hold.who,
            since: hold.since,
        }
    }
}

/// Lists all of them.
pub(super) async fn list_holds(state: Data<State>) -> Result<Answer<Found<Page>>, OperationError> {
    let now = Timestamp::now();
    let rows = within_deadline(holds::list(state.changes.database().read(), now)).await?;
    Ok(Answer::found(&Page {
        items: rows.into_iter().map(|hold| View::new(hold, now)).collect(),
        next_cursor: None,
        destinations: state.holds.destinations().to_vec(),
    }))
}
