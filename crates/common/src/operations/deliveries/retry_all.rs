//! `POST /operations/deliveries/retry-now`: makes all waiting deliveries that the filter means due at once. One for each
//! destination is its probe.

use actix_web::web::Data;
use sea_orm::DbErr;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::filter::Fields;
use super::order::Effect;
use super::state::State;
use crate::Timestamp;
use crate::database::within_deadline;
use crate::dispatch::{Filter, orders};
use crate::http::{Answer, JsonBody, OperationError, Taken, Violation, Violations};
use crate::operations::actor::Actor;
use crate::operations::audit::{self, Action};
use crate::operations::reason::Reason;

/// What the audit calls it.
const ACTION: &str = "deliveries.retry_now";

/// Which, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryAll {
    /// Which are meant: one field at least
    filter: Fields,
    /// Why, for the audit
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Says how many it would concern, and does nothing
    dry_run: Option<bool>,
}

/// What is asked for, as far as it keeps the rules.
struct Wanted {
    fields: Fields,
    filter: Filter,
    reason: Reason,
}

impl Wanted {
    fn parse(fields: Fields, reason: &str) -> Result<Self, Violations> {
        let mut broken = Violations::default();
        let none = Violation {
            code: "required",
            detail: "must have one field at least",
        };
        broken.note("/filter", if fields.are_none() { Err(none) } else { Ok(()) });
        let filter = fields.clone().read("/filter", &mut broken);
        let reason = broken.note("/reason", Reason::parse(reason));
        match (filter, reason) {
            (Some(filter), Some(reason)) => broken.unless_broken(Self { fields, filter, reason }),
            _ => Err(broken),
        }
    }
}

/// Lets the deliveries through, five thousand at most; `more` says that there are others.
pub(super) async fn retry_deliveries_now(
    state: Data<State>,
    actor: Actor,
    JsonBody(body): JsonBody<RetryAll>,
) -> Result<Answer<Taken<Effect>>, OperationError> {
    let wanted = Wanted::parse(body.filter, &body.reason)?;
    let affected = if body.dry_run.unwrap_or_default() {
        let connection = state.changes.database().read();
        within_deadline(orders::count_waiting(connection, &wanted.filter, Timestamp::now())).await?
    } else {
        let affected = let_through(&state, &actor, &wanted).await?;
        state.waker.wake();
        affected
    };
    Ok(Answer::taken(&Effect {
        affected: affected.deliveries,
        more: affected.has_more,
        delivery_id: None,
    }))
}

async fn let_through(state: &State, actor: &Actor, wanted: &Wanted) -> Result<orders::Affected, DbErr> {
    let now = Timestamp::now();
    let change = state.changes.begin().await?;
    let affected = orders::let_all_through(change.tx(), &wanted.filter, now).await?;
    let action = Action {
        name: ACTION,
        target: "filter",
        reason: &wanted.reason,
        details: Some(json!({"filter": wanted.fields, "affected": affected.deliveries})),
    };
    let line = audit::write(change.tx(), actor, action, now).await?;
    let connection = state.changes.database().read();
    change.commit_or_find(audit::exists(connection, line)).await?;
    Ok(affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_means_all_deliveries_by_leaving_everything_out() {
        assert!(Wanted::parse(Fields::default(), "why").is_err());
        let fields = Fields {
            channel: Some("email".to_owned()),
            ..Fields::default()
        };
        assert!(Wanted::parse(fields.clone(), " ").is_err());
        assert!(Wanted::parse(fields, "why").is_ok());
    }
}
