//! How one try of a delivery ended, and what that does to its row.

use std::time::Duration;

use super::{Delivery, DispatchOptions, Reason, Status};
use crate::Timestamp;

/// Shortest wait before a destination that is not available is asked again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Shortest wait before a destination that asks to be called later is called again: it might say "at once" for ever.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait that the other side can ask for: a sender may pass on any number.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// Longest pause of a whole destination: the wait was asked for at one delivery, and may concern that one alone.
const LONGEST_DESTINATION_PAUSE: Duration = Duration::from_mins(1);
/// Longest error text that is kept, in bytes.
const ERROR_LIMIT: usize = 500;
/// How many tries a delivery has however old it is: it may have been held, or its tries were cut short when their process
/// ended. One that was cut short more often may itself be what ends the process.
const CUT_SHORT: i32 = 5;
/// The error of a delivery whose destination was not available.
const RESTS: &str = "the destination rests";
/// The error of a delivery whose holder gave no sign of life any more.
pub(super) const LEFT_BEHIND: &str = "whoever sent it was lost; it may have arrived";
/// Stands in for a text that the database refused.
const NO_TEXT: &str = "what was said can't be stored";
/// Longest message id of a provider that is kept, in bytes.
const ID_LIMIT: usize = 200;

/// How one try of a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side took responsibility.
    Accepted {
        /// The provider's own id for the message.
        provider_message_id: Option<String>,
    },
    /// It arrived.
    Delivered {
        /// The provider's own id for the message.
        provider_message_id: Option<String>,
    },
    /// It will not arrive.
    Failed {
        /// Why.
        reason: Reason,
        /// What the other side said; no secret, no address.
        error: String,
    },
    /// It must not be sent.
    Suppressed {
        /// Why.
        reason: Reason,
    },
    /// Its time was over.
    Expired,
    /// It may work later.
    Retry {
        /// What went wrong; no secret, no address.
        error: String,
        /// The wait that the other side asked for; `None`: the schedule says.
        after: Option<Wait>,
    },
    /// The other side may have it, and no answer came that says so. It is tried again by the schedule, and may arrive
    /// twice.
    Unknown {
        /// What went wrong; no secret, no address.
        error: String,
    },
    /// It was not tried: for example, a breaker is open or a bulkhead full. It costs no attempt.
    Unavailable {
        /// When it is worth asking again, and whether everything that goes there waits so long.
        after: Wait,
    },
}

/// How long to wait before the next try. It is bounded: a second to a day, for [`Outcome::Unavailable`] 100 ms to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Only this delivery waits: the limit that was met is its recipient's.
    Delivery(Duration),
    /// All deliveries to the destination wait; the others a minute at most, since it may concern this one alone.
    Destination(Duration),
}

impl Wait {
    /// How long, as it was asked for: without the bounds.
    pub const fn span(self) -> Duration {
        match self {
            Self::Delivery(span) | Self::Destination(span) => span,
        }
    }
}

impl Outcome {
    /// How long this delivery is to wait by the other side's wish, within the bounds.
    fn requested_wait(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { after } => Some(after.span().clamp(SHORTEST_PAUSE, LONGEST_WAIT)),
            Self::Retry { after, .. } => after.map(|after| after.span().clamp(SHORTEST_WAIT, LONGEST_WAIT)),
            _ => None,
        }
    }

    /// For how long the destination as a whole is left alone.
    pub(super) fn destination_pause(&self) -> Option<Duration> {
        match self {
            Self::Retry {
                after: Some(Wait::Delivery(_)),
                ..
            }
            | Self::Unavailable {
                after: Wait::Delivery(_),
            } => None,
            _ => self.requested_wait().map(|wait| wait.min(LONGEST_DESTINATION_PAUSE)),
        }
    }

    /// Takes out control characters and cuts texts to what is kept: the other side may say anything.
    fn clean(mut self) -> Self {
        match &mut self {
            Self::Accepted { provider_message_id } | Self::Delivered { provider_message_id } => {
                if let Some(id) = provider_message_id {
                    *id = clean(id, ID_LIMIT);
                }
            }
            Self::Failed { error, .. } | Self::Retry { error, .. } | Self::Unknown { error } => {
                *error = clean(error, ERROR_LIMIT);
            }
            Self::Suppressed { .. } | Self::Expired | Self::Unavailable { .. } => {}
        }
        self
    }
}

/// What an outcome does to its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) to: Status,
    pub(super) reason: Option<Reason>,
    pub(super) attempts: i32,
    pub(super) next_attempt_at: Timestamp,
    pub(super) last_error: Option<String>,
    /// Provider that has it, or may have it and is to be asked again.
    pub(super) provider: Option<String>,
    pub(super) provider_message_id: Option<String>,
    /// Whether it is still let through at once.
    pub(super) retry_now: bool,
}

/// The row of a delivery whose lease is handed back: due at once, and the try costs no attempt.
pub(super) fn handed_back(delivery: &Delivery, now: Timestamp) -> Transition {
    Transition {
        to: Status::Pending,
        reason: None,
        attempts: delivery.attempts - 1,
        next_attempt_at: now,
        last_error: delivery.last_error.clone(),
        provider: delivery.provider.clone(),
        provider_message_id: None,
        retry_now: delivery.retry_now,
    }
}

/// The outcome of a delivery that must not be tried any more: it expired, or is too old after enough tries.
pub(super) fn before_sending(delivery: &Delivery, options: &DispatchOptions, now: Timestamp) -> Option<Outcome> {
    if delivery.expires_at.is_some_and(|end| end <= now) {
        return Some(Outcome::Expired);
    }
    // Every delivery gets its first tries, however long the service was away: some may have been cut short.
    let too_old = now >= delivery.created_at + options.give_up_after;
    (delivery.attempts > CUT_SHORT && too_old).then(|| exhausted(delivery.last_error.as_deref()))
}

/// Turns the outcome of a try into how the delivery stands: a retry that would come too late is `Failed` or `Expired`.
/// Answers with that outcome and the row's new values.
pub(super) fn resolve(
    outcome: Outcome,
    delivery: &Delivery,
    options: &DispatchOptions,
    now: Timestamp,
) -> (Outcome, Transition) {
    let outcome = outcome.clean();
    let outcome = match &outcome {
        Outcome::Retry { .. } | Outcome::Unknown { .. } | Outcome::Unavailable { .. } => {
            let next = now + wait(&outcome, delivery, options);
            // A delivery that was never tried still gets a try, however long the destination was away.
            let is_untried = matches!(outcome, Outcome::Unavailable { .. }) && was_never_tried(delivery);
            let has_tries_left = delivery.attempts <= CUT_SHORT;
            if delivery.expires_at.is_some_and(|end| end <= next) {
                Outcome::Expired
            } else if !is_untried && !has_tries_left && next > delivery.created_at + options.give_up_after {
                exhausted(error_of(&outcome))
            } else {
                outcome
            }
        }
        _ => outcome,
    };
    let mut row = Transition {
        to: status_of(&outcome),
        reason: reason_of(&outcome),
        attempts: delivery.attempts,
        next_attempt_at: now,
        last_error: error_of(&outcome)
            .map(str::to_owned)
            .or_else(|| delivery.last_error.clone()),
        provider: delivery.provider.clone(),
        provider_message_id: None,
        retry_now: false,
    };
    match &outcome {
        Outcome::Accepted { provider_message_id } | Outcome::Delivered { provider_message_id } => {
            row.provider_message_id.clone_from(provider_message_id);
            row.last_error = None;
        }
        Outcome::Retry { .. } | Outcome::Unknown { .. } => {
            row.next_attempt_at = now + wait(&outcome, delivery, options);
        }
        Outcome::Unavailable { .. } => {
            row.next_attempt_at = now + wait(&outcome, delivery, options);
            row.attempts -= 1;
        }
        Outcome::Failed { .. } | Outcome::Suppressed { .. } | Outcome::Expired => {}
    }
    (outcome, row)
}

/// Whether no earlier try has ended: one whose holder was lost, or whose destination rested, does not count.
fn was_never_tried(delivery: &Delivery) -> bool {
    delivery.attempts <= 1 || matches!(delivery.last_error.as_deref(), None | Some(RESTS | LEFT_BEHIND))
}

fn wait(outcome: &Outcome, delivery: &Delivery, options: &DispatchOptions) -> Duration {
    outcome.requested_wait().unwrap_or_else(|| {
        // What may have arrived waits one step longer: a slow destination should not get copy after copy.
        let is_unknown = matches!(outcome, Outcome::Unknown { .. });
        let step = usize::try_from(delivery.attempts - 1).unwrap_or(0) + usize::from(is_unknown);
        options
            .retry_delays
            .get(step)
            .or(options.retry_delays.last())
            .copied()
            .unwrap_or(SHORTEST_PAUSE)
    })
}

fn exhausted(error: Option<&str>) -> Outcome {
    Outcome::Failed {
        reason: Reason::Exhausted,
        error: error.unwrap_or("every try was broken off").to_owned(),
    }
}

fn error_of(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Failed { error, .. } | Outcome::Retry { error, .. } | Outcome::Unknown { error } => Some(error),
        Outcome::Unavailable { .. } => Some(RESTS),
        _ => None,
    }
}

const fn status_of(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Accepted { .. } => Status::Accepted,
        Outcome::Delivered { .. } => Status::Delivered,
        Outcome::Failed { .. } => Status::Failed,
        Outcome::Suppressed { .. } => Status::Suppressed,
        Outcome::Expired => Status::Expired,
        Outcome::Retry { .. } | Outcome::Unknown { .. } | Outcome::Unavailable { .. } => Status::Pending,
    }
}

const fn reason_of(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Accepted { .. } => Some(Reason::Accepted),
        Outcome::Delivered { .. } => Some(Reason::Delivered),
        Outcome::Failed { reason, .. } | Outcome::Suppressed { reason } => Some(*reason),
        Outcome::Expired => Some(Reason::Expired),
        Outcome::Retry { .. } | Outcome::Unknown { .. } | Outcome::Unavailable { .. } => None,
    }
}

/// The same outcome with none of the other side's words.
pub(super) fn without_text(mut outcome: Outcome, row: Transition) -> (Outcome, Transition) {
    match &mut outcome {
        Outcome::Accepted { provider_message_id } | Outcome::Delivered { provider_message_id } => {
            *provider_message_id = None;
        }
        Outcome::Failed { error, .. } | Outcome::Retry { error, .. } | Outcome::Unknown { error } => {
            NO_TEXT.clone_into(error);
        }
        Outcome::Suppressed { .. } | Outcome::Expired | Outcome::Unavailable { .. } => {}
    }
    let row = Transition {
        last_error: row.last_error.map(|_| NO_TEXT.to_owned()),
        provider_message_id: None,
        ..row
    };
    (outcome, row)
}

fn clean(text: &str, limit: usize) -> String {
    let text: String = text.chars().filter(|char| !char.is_control()).collect();
    text[..text.floor_char_boundary(limit)].to_owned()
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
