//! `PUT /operations/breakers/{destination}`: sets whether a breaker of this process decides, for a time or until it is set
//! again.
//!
//! The mode holds for this process alone: each replica has a breaker of its own, and a restart forgets the mode.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use actix_web::web::Data;
use sea_orm::DbErr;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::json;
use strum::EnumIter;
use utoipa::ToSchema;

use super::actor::Actor;
use super::audit::{self, Action};
use super::destination::Destination;
use super::reason::Reason;
use super::state::State;
use crate::Timestamp;
use crate::http::{Answer, JsonBody, NoContent, OperationError, Problem, Refusal, Violation, Violations, kinds};
use crate::resilience::BreakerMode;

/// What the audit calls it.
const ACTION: &str = "breakers.set";
/// Seconds that a mode may last: a day at most.
const SECONDS: RangeInclusive<i64> = 1..=86_400;

/// How a breaker is to decide.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetBreaker {
    /// `on` (it decides), `metrics_only` (it counts and lets all pass), `forced_open` (nothing passes), `forced_closed` (all
    /// passes and nothing is counted)
    #[schema(example = "forced_open")]
    mode: String,
    /// Seconds until it is `on` again by itself; without it, until it is set again or the process ends
    #[schema(minimum = 1, maximum = 86400)]
    for_s: Option<i64>,
    /// Why, for the audit
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Why a breaker is not set.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(super) enum SetBreakerRefusal {
    /// This process has no such breaker.
    NoSuchBreaker,
}

impl Refusal for SetBreakerRefusal {
    fn problem(&self) -> Problem {
        match self {
            Self::NoSuchBreaker => Problem::new(&kinds::NOT_FOUND).detail(
                "This process has no breaker of that destination; GET /operations/breakers lists those it has.",
            ),
        }
    }
}

/// What is asked for, as far as it keeps the rules.
struct Wanted {
    mode: BreakerMode,
    lasts: Option<Duration>,
    reason: Reason,
}

impl Wanted {
    fn parse(body: &SetBreaker) -> Result<Self, Violations> {
        let mut broken = Violations::default();
        let mode = broken.note("/mode", mode(&body.mode));
        let lasts = broken.note_optional("/for_s", body.for_s.map(span));
        let reason = broken.note("/reason", Reason::parse(&body.reason));
        match (mode, lasts, reason) {
            (Some(mode), Some(lasts), Some(reason)) => Ok(Self { mode, lasts, reason }),
            _ => Err(broken),
        }
    }
}

fn mode(word: &str) -> Result<BreakerMode, Violation> {
    let word: StrDeserializer<'_, ValueError> = word.into_deserializer();
    BreakerMode::deserialize(word).map_err(|_| Violation {
        code: "unknown",
        detail: "must be on, metrics_only, forced_open or forced_closed",
    })
}

fn span(seconds: i64) -> Result<Duration, Violation> {
    let seconds = Some(seconds).filter(|seconds| SECONDS.contains(seconds));
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map(Duration::from_secs).ok_or(Violation {
        code: "out-of-range",
        detail: "must be a number from 1 to 86400",
    })
}

/// Sets the mode, after the audit has its line.
pub(super) async fn set_breaker(
    state: Data<State>,
    actor: Actor,
    Destination(destination): Destination,
    JsonBody(body): JsonBody<SetBreaker>,
) -> Result<Answer<NoContent>, OperationError<SetBreakerRefusal>> {
    let wanted = Wanted::parse(&body)?;
    let breaker = state.breakers.of(&destination);
    let breaker = breaker.ok_or(OperationError::Refused(SetBreakerRefusal::NoSuchBreaker))?;
    note(&state, &actor, &destination, &wanted).await?;
    breaker.set_mode(wanted.mode, wanted.lasts, Instant::now());
    let (mode, for_s) = (wanted.mode.word(), wanted.lasts.map(|lasts| lasts.as_secs()));
    tracing::info!(
        destination,
        mode,
        for_s,
        "an operator set the mode of a circuit breaker"
    );
    Ok(Answer::no_content())
}

async fn note(state: &State, actor: &Actor, destination: &str, wanted: &Wanted) -> Result<(), DbErr> {
    let action = Action {
        name: ACTION,
        target: destination,
        reason: &wanted.reason,
        details: Some(json!({"mode": wanted.mode, "for_s": wanted.lasts.map(|lasts| lasts.as_secs())})),
    };
    let change = state.changes.begin().await?;
    let line = audit::write(change.tx(), actor, action, Timestamp::now()).await?;
    let connection = state.changes.database().read();
    change.commit_or_find(audit::exists(connection, line)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_does_not_hold_is_named() {
        let body = |mode: &str, for_s, reason: &str| SetBreaker {
            mode: mode.to_owned(),
            for_s,
            reason: reason.to_owned(),
        };
        for (word, mode) in [
            ("on", BreakerMode::On),
            ("metrics_only", BreakerMode::MetricsOnly),
            ("forced_open", BreakerMode::ForcedOpen),
            ("forced_closed", BreakerMode::ForcedClosed),
        ] {
            assert_eq!(Wanted::parse(&body(word, None, "why")).unwrap().mode, mode);
        }
        for good in [1, 86_400] {
            assert!(Wanted::parse(&body("on", Some(good), "why")).is_ok());
        }
        for bad in [0, -1, 86_401, i64::MIN] {
            let broken = Wanted::parse(&body("Open", Some(bad), " ")).err().unwrap();
            let problem = Problem::from(broken);
            let named: Vec<_> = problem
                .field_errors()
                .iter()
                .map(|error| (error.pointer.as_str(), error.code))
                .collect();
            let all = [
                ("/mode", "unknown"),
                ("/for_s", "out-of-range"),
                ("/reason", "too-short"),
            ];
            assert_eq!(named, all);
        }
    }
}
