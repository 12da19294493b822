//! What the actions on deliveries have in common: the reason, the dry run, and why an action is not done.

use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::EnumIter;
use utoipa::ToSchema;
use uuid::Uuid;

use super::state::State;
use crate::Timestamp;
use crate::database::Transaction;
use crate::dispatch::{Delivery, Status, orders};
use crate::http::{Problem, Refusal, Violations, kinds};
use crate::operations::actor::Actor;
use crate::operations::audit::{self, Action};
use crate::operations::reason::Reason;

/// An action on one delivery.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeliveryOrder)]
pub(super) struct Order {
    /// Why, for the audit
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Says what would be done, and does nothing
    dry_run: Option<bool>,
}

/// An action, as far as it keeps the rules.
pub(super) struct Wanted {
    pub(super) reason: Reason,
    pub(super) is_dry_run: bool,
}

impl Order {
    pub(super) fn read(&self) -> Result<Wanted, Violations> {
        let reason = Reason::parse(&self.reason).map_err(|broken| Violations::one("/reason", broken))?;
        Ok(Wanted {
            reason,
            is_dry_run: self.dry_run.unwrap_or_default(),
        })
    }
}

/// What it came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveriesAffected)]
pub(super) struct Effect {
    /// How many deliveries it concerns.
    pub(super) affected: usize,
    /// Whether there are more, which the same action reaches next.
    pub(super) more: bool,
    /// The new delivery, where one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivery_id: Option<Uuid>,
}

impl Effect {
    pub(super) const ONE: Self = Self {
        affected: 1,
        more: false,
        delivery_id: None,
    };
}

/// Why an action is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
pub(super) enum OrderRefusal {
    /// There is no such delivery.
    NotFound,
    /// It is being sent, or whoever sent it was lost and may yet tell.
    InHand,
    /// It has ended.
    Ended,
    /// It waits already.
    Waits,
    /// A copy of it is on its way, or was taken.
    Copied,
    /// Another service sends over this channel.
    NotSentHere,
    /// A copy would have no time left.
    TimeIsOver,
}

impl Refusal for OrderRefusal {
    fn problem(&self) -> Problem {
        let (kind, said) = match self {
            Self::NotFound => (&kinds::NOT_FOUND, "This service has no such delivery."),
            Self::InHand => (
                &kinds::CONFLICT,
                "Somebody has it in hand, or was lost while sending it: it may be sent. What comes of it is known after its next try.",
            ),
            Self::Ended => (&kinds::CONFLICT, "It has ended; resend makes a new delivery of it."),
            Self::Waits => (
                &kinds::CONFLICT,
                "It has not ended: it waits for its next try, which retry-now lets through at once.",
            ),
            Self::Copied => (
                &kinds::CONFLICT,
                "A copy of it is on its way or was taken; resend that copy where it has to go once more.",
            ),
            Self::NotSentHere => (
                &kinds::CONFLICT,
                "This service only writes down what another one sent; ask that one.",
            ),
            Self::TimeIsOver => (&kinds::CONFLICT, "Its time is over: a copy would not be sent."),
        };
        Problem::new(kind).detail(said)
    }
}

/// Ok for a delivery that waits, else why it can't be tried or taken back.
pub(super) const fn unless_waiting(delivery: &Delivery) -> Result<(), OrderRefusal> {
    match delivery.status {
        Status::Pending => Ok(()),
        Status::Sending => Err(OrderRefusal::InHand),
        _ => Err(OrderRefusal::Ended),
    }
}

/// Ok for a delivery that waits and that nobody has leased, else why it can't be taken back. A lease that was left behind
/// means that it may have been sent.
pub(super) fn unless_untouched(delivery: &Delivery) -> Result<(), OrderRefusal> {
    unless_waiting(delivery)?;
    match delivery.lease_holder {
        None => Ok(()),
        Some(_) => Err(OrderRefusal::InHand),
    }
}

/// An action as it is carried out.
pub(super) struct Deed<'a> {
    /// What the audit calls it.
    pub(super) name: &'static str,
    pub(super) wanted: &'a Wanted,
    pub(super) delivery: Uuid,
    /// Ok when the action may be done to a delivery in this state, else why not.
    pub(super) may: fn(&Delivery) -> Result<(), OrderRefusal>,
}

/// Carries an action out on one delivery, with its line in the audit, in one transaction. When `act` makes a new delivery,
/// it gives back its id, which the line and the answer name. A dry run is rolled back.
pub(super) async fn carry_out(
    state: &State,
    actor: &Actor,
    deed: Deed<'_>,
    act: impl AsyncFnOnce(&Transaction, Delivery, Timestamp) -> Result<Result<Option<Uuid>, OrderRefusal>, DbErr>,
) -> Result<Result<Effect, OrderRefusal>, DbErr> {
    let now = Timestamp::now();
    let change = state.changes.begin().await?;
    let done = match orders::locked(change.tx(), deed.delivery).await? {
        None => Err(OrderRefusal::NotFound),
        Some(delivery) => match (deed.may)(&delivery) {
            // A dry run does all of this, too, and is rolled back below.
            Ok(()) => act(change.tx(), delivery, now).await?,
            Err(refusal) => Err(refusal),
        },
    };
    let made = match done {
        Ok(made) if !deed.wanted.is_dry_run => made,
        other => {
            change.roll_back().await;
            return Ok(other.map(|_| Effect::ONE));
        }
    };
    let action = Action {
        name: deed.name,
        target: &deed.delivery.to_string(),
        reason: &deed.wanted.reason,
        details: made.map(|id| serde_json::json!({"delivery_id": id}) as Value),
    };
    let line = audit::write(change.tx(), actor, action, now).await?;
    let connection = state.changes.database().read();
    change.commit_or_find(audit::exists(connection, line)).await?;
    state.waker.wake();
    Ok(Ok(Effect {
        delivery_id: made,
        ..Effect::ONE
    }))
}
