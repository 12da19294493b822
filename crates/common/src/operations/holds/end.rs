//! `DELETE /operations/holds/{destination}`: ends a hold before its time.

use actix_web::web::Data;
use sea_orm::DbErr;
use serde::Deserialize;
use utoipa::ToSchema;

use super::state::{HoldRefusal, State};
use crate::Timestamp;
use crate::dispatch::holds;
use crate::http::{Answer, JsonBody, NoContent, OperationError, Violations};
use crate::operations::actor::Actor;
use crate::operations::audit::{self, Action};
use crate::operations::destination::Destination;
use crate::operations::reason::Reason;

/// What the audit calls it.
const ACTION: &str = "holds.end";

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndHold {
    /// Why, for the audit
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Ends the hold, in the change that has its line of the audit.
pub(super) async fn end_hold(
    state: Data<State>,
    actor: Actor,
    Destination(destination): Destination,
    JsonBody(body): JsonBody<EndHold>,
) -> Result<Answer<NoContent>, OperationError<HoldRefusal>> {
    let reason = Reason::parse(&body.reason).map_err(|broken| Violations::one("/reason", broken))?;
    if !state.holds.destinations().contains(&destination) {
        return Err(OperationError::Refused(HoldRefusal::NoSuchDestination));
    }
    if !end(&state, &actor, &destination, &reason).await? {
        return Err(OperationError::Refused(HoldRefusal::NotHeld));
    }
    state.holds.heed(&destination, None);
    tracing::info!(destination, "an operator ended a hold");
    Ok(Answer::no_content())
}

/// Ends the hold; false when the destination was not held.
async fn end(state: &State, actor: &Actor, destination: &str, reason: &Reason) -> Result<bool, DbErr> {
    let now = Timestamp::now();
    let action = Action {
        name: ACTION,
        target: destination,
        reason,
        details: None,
    };
    let change = state.changes.begin().await?;
    if !holds::end(change.tx(), destination, now).await? {
        change.roll_back().await;
        return Ok(false);
    }
    let line = audit::write(change.tx(), actor, action, now).await?;
    let connection = state.changes.database().read();
    change.commit_or_find(audit::exists(connection, line)).await?;
    Ok(true)
}
