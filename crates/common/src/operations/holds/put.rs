//! `PUT /operations/holds/{destination}`: has every replica leave a destination alone for a time. It ends by itself.

use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::web::Data;
use sea_orm::DbErr;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::state::{HoldRefusal, State};
use crate::Timestamp;
use crate::dispatch::holds::{self, Model};
use crate::http::{Answer, JsonBody, NoContent, OperationError, Violation, Violations};
use crate::operations::actor::Actor;
use crate::operations::audit::{self, Action};
use crate::operations::destination::Destination;
use crate::operations::reason::Reason;

/// What the audit calls it.
const ACTION: &str = "holds.set";
/// Seconds that a hold may last: a week at most. A delivery is given up after three days of failed tries, but a hold is no
/// failed try: what waits behind it is not given up for that.
const SECONDS: RangeInclusive<i64> = 1..=604_800;

/// How long, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetHold {
    /// Seconds until it ends by itself
    #[schema(minimum = 1, maximum = 604_800)]
    for_s: i64,
    /// Why, for the audit
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// What is asked for, as far as it keeps the rules.
struct Wanted {
    lasts: Duration,
    reason: Reason,
}

impl Wanted {
    fn parse(body: &SetHold) -> Result<Self, Violations> {
        let mut broken = Violations::default();
        let lasts = broken.note("/for_s", span(body.for_s));
        let reason = broken.note("/reason", Reason::parse(&body.reason));
        match (lasts, reason) {
            (Some(lasts), Some(reason)) => Ok(Self { lasts, reason }),
            _ => Err(broken),
        }
    }
}

fn span(seconds: i64) -> Result<Duration, Violation> {
    let seconds = Some(seconds).filter(|seconds| SECONDS.contains(seconds));
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map(Duration::from_secs).ok_or(Violation {
        code: "out-of-range",
        detail: "must be a number from 1 to 604800",
    })
}

/// Holds the destination, in the change that has its line of the audit. Puts a new end in the place of a hold that stands.
pub(super) async fn hold(
    state: Data<State>,
    actor: Actor,
    Destination(destination): Destination,
    JsonBody(body): JsonBody<SetHold>,
) -> Result<Answer<NoContent>, OperationError<HoldRefusal>> {
    let wanted = Wanted::parse(&body)?;
    if !state.holds.destinations().contains(&destination) {
        return Err(OperationError::Refused(HoldRefusal::NoSuchDestination));
    }
    let until = put(&state, &actor, &destination, &wanted).await?;
    state.holds.heed(&destination, Some(until));
    let for_s = wanted.lasts.as_secs();
    tracing::info!(destination, for_s, "an operator holds a destination");
    Ok(Answer::no_content())
}

async fn put(state: &State, actor: &Actor, destination: &str, wanted: &Wanted) -> Result<Timestamp, DbErr> {
    let now = Timestamp::now();
    let until = now + wanted.lasts;
    let action = Action {
        name: ACTION,
        target: destination,
        reason: &wanted.reason,
        details: Some(json!({"for_s": wanted.lasts.as_secs()})),
    };
    let change = state.changes.begin().await?;
    let line = audit::write(change.tx(), actor, action, now).await?;
    let hold = Model {
        destination: destination.to_owned(),
        until,
        reason: wanted.reason.as_str().to_owned(),
        who: actor.as_str().to_owned(),
        since: now,
    };
    holds::put(change.tx(), hold).await?;
    let connection = state.changes.database().read();
    change.commit_or_find(audit::exists(connection, line)).await?;
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_has_an_end_and_a_reason() {
        let body = |for_s, reason: &str| SetHold {
            for_s,
            reason: reason.to_owned(),
        };
        for good in [1, 604_800] {
            assert!(Wanted::parse(&body(good, "why")).is_ok());
        }
        for bad in [body(0, "why"), body(604_801, "why"), body(1, " ")] {
            assert!(Wanted::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
