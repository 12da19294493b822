//! How one try of a delivery ended, and what that does to its row.

use std::time::Duration;

use super::{Delivery, DispatchOptions, Reason, Status};
use crate::Timestamp;

/// A destination that is not available is not asked again sooner.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// One that asks to be called again later is not called sooner, even if it says "at once": it would do so for ever.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A delivery waits no longer for what the other side asks for: any sender may pass on any number.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// A wait was asked for by one delivery and may mean no more than that: the destination is asked again after this.
const LONGEST_DESTINATION_PAUSE: Duration = Duration::from_mins(1);
/// Longest error text that is kept, in bytes.
const ERROR_LIMIT: usize = 500;
/// So many tries a delivery has, however old it is: it may have been held, or its tries cut short by the end of their
/// process. One that had more may be what ends them.
const CUT_SHORT: i32 = 5;
/// Said of a delivery whose destination could not be asked.
const RESTS: &str = "the destination rests";
/// Said of a delivery whose holder gave no sign of life any more.
pub(super) const LEFT_BEHIND: &str = "whoever sent it was lost; it may have arrived";
/// Instead of words that the database refused.
const NO_TEXT: &str = "what was said can't be stored";
/// Longest message id of a provider that is kept, in bytes.
const ID_LIMIT: usize = 200;

/// How one try of a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side took responsibility.
    Accepted {
        /// What it calls the message.
        provider_message_id: Option<String>,
    },
    /// It arrived.
    Delivered {
        /// What the other side calls the message.
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
        /// What the other side asked for; otherwise the schedule says.
        after: Option<Wait>,
    },
    /// The other side was told everything and did not say what it made of it. It is tried again by the schedule
    /// and may arrive twice.
    Unknown {
        /// What went wrong; no secret, no address.
        error: String,
    },
    /// It was not tried: the breaker is open or the bulkhead full. Costs no attempt.
    Unavailable {
        /// When it is worth asking again, and whether everything that goes there waits so long.
        after: Wait,
    },
}

/// When the other side wants to be called again: a second to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For this delivery: it is its recipient who has had enough. Nobody else waits.
    Delivery(Duration),
    /// For all that goes there; the others wait a minute at most, since it may mean no more than this one.
    Destination(Duration),
}

impl Wait {
    /// How long.
    pub const fn span(self) -> Duration {
        match self {
            Self::Delivery(span) | Self::Destination(span) => span,
        }
    }
}

impl Outcome {
    /// How long the other side wants this delivery to wait.
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

    /// Without what no database takes, and no longer than is kept: the other side may say anything.
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
    /// Who has it, or may have it and is to be asked again.
    pub(super) provider: Option<String>,
    pub(super) provider_message_id: Option<String>,
    /// Whether it is still let through at once.
    pub(super) retry_now: bool,
}

/// The row of a delivery whose lease is handed back; a try that was broken off for it costs no attempt.
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

/// What must be said before a try: its time may be over already.
pub(super) fn before_sending(delivery: &Delivery, options: &DispatchOptions, now: Timestamp) -> Option<Outcome> {
    if delivery.expires_at.is_some_and(|end| end <= now) {
        return Some(Outcome::Expired);
    }
    // A first try is due to everybody, however long we were away, and some may have been cut short before it began.
    let too_old = now >= delivery.created_at + options.give_up_after;
    (delivery.attempts > CUT_SHORT && too_old).then(|| exhausted(delivery.last_error.as_deref()))
}

/// Turns how a try ended into how the delivery stands: the schedule, its end, the row's new values.
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
            // Whoever was not tried yet has a try to come, however long the destination was away.
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

/// Whether no try has come to an end before: what was claimed by somebody who was lost counts as none.
fn was_never_tried(delivery: &Delivery) -> bool {
    delivery.attempts <= 1 || matches!(delivery.last_error.as_deref(), None | Some(RESTS | LEFT_BEHIND))
}

fn wait(outcome: &Outcome, delivery: &Delivery, options: &DispatchOptions) -> Duration {
    outcome.requested_wait().unwrap_or_else(|| {
        // What may have arrived waits a step longer: a slow destination should not get copy after copy.
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
