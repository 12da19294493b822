//! `POST /v1/callbacks/sms`: an SMS provider tells what became of a message.

use std::time::{Duration, Instant};

use actix_web::web::Data;
use common::Timestamp;
use common::database::within_deadline;
use common::dispatch::{Reason, Status};
use common::http::{Answer, NoContent, OperationError, Place, Problem, Refusal, kinds};
use common::resilience::Backoff;
use strum::EnumIter;

use super::form::Form;
use super::twilio::Signature;
use crate::state::State;
use crate::tables::deliveries::{self, Told};

/// A provider may call before we have written down that it took the message. We wait for this long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pauses between the looks for the message.
const PAUSES: Backoff = Backoff::doubling(Duration::from_millis(100), PATIENCE);
/// Longest id of a message that is looked up, in bytes.
const MOST_OF_AN_ID: usize = 100;

/// Why a call is refused.
#[derive(Debug, Clone, Copy, EnumIter)]
pub(crate) enum CallbackRefusal {
    /// It is not signed with the token of one of our accounts.
    BadSignature,
    /// No message has that id.
    UnknownMessage,
}

impl Refusal for CallbackRefusal {
    fn problem(&self) -> Problem {
        match self {
            Self::BadSignature => Problem::new(&kinds::BAD_SIGNATURE),
            Self::UnknownMessage => Problem::new(&kinds::NOT_FOUND),
        }
    }
}

/// Takes over what the provider tells.
pub(crate) async fn sms(
    state: Data<State>,
    signature: Signature,
    Form(form): Form,
    place: Place,
) -> Result<Answer<NoContent>, OperationError<CallbackRefusal>> {
    let account = form.field("AccountSid").unwrap_or_default();
    let known = state.sms.callback_url();
    // One account may be several providers, by its numbers.
    let signers = state.sms.accounts(account);
    let signers = signers.filter(|(_, token)| signature.is_of(token, known, &form.0));
    let providers: Vec<_> = signers.map(|(name, _)| name.to_string()).collect();
    if providers.is_empty() {
        state.metrics.callback("sms", "bad_signature");
        return Err(OperationError::Refused(CallbackRefusal::BadSignature));
    }
    let Some(status) = form.field("MessageStatus").and_then(end) else {
        // On its way: nothing that the delivery does not say already.
        state.metrics.callback("sms", "on_its_way");
        return Ok(Answer::no_content());
    };
    let message = form.field("MessageSid").unwrap_or_default();
    if message.is_empty() || message.len() > MOST_OF_AN_ID {
        state.metrics.callback("sms", "unknown_message");
        return Err(OperationError::Refused(CallbackRefusal::UnknownMessage));
    }
    let error = form.field("ErrorCode").unwrap_or_default();
    let told = Told {
        status,
        reason: reason(status),
        error: (status == Status::Failed).then(|| format!("the provider could not deliver it, code {}", code(error))),
    };
    let of = deliveries::Of { providers, message };
    take(&state, &of, &told, &place).await?;
    Ok(Answer::no_content())
}

/// Moves the delivery on, once. Waits up to [`PATIENCE`] for one that is not written down yet, while others use its place.
async fn take(
    state: &State,
    of: &deliveries::Of<'_>,
    told: &Told,
    place: &Place,
) -> Result<(), OperationError<CallbackRefusal>> {
    let (end, mut looks) = (Instant::now() + PATIENCE, 0);
    while !within_deadline(deliveries::is_there(state.database.read(), of)).await? {
        if Instant::now() >= end {
            state.metrics.callback("sms", "unknown_message");
            return Err(OperationError::Refused(CallbackRefusal::UnknownMessage));
        }
        place.leave_while(tokio::time::sleep(PAUSES.step(looks))).await;
        looks += 1;
    }
    let change = state.changes.begin().await?;
    if deliveries::tell(change.tx(), of, told, Timestamp::now()).await? {
        change.commit().await?;
        state.metrics.delivery("sms", told.status.as_str());
        state.metrics.callback("sms", "applied");
    } else {
        change.roll_back().await;
        // This end was told before, or another one was.
        state.metrics.callback("sms", "known");
    }
    Ok(())
}

/// The end of a delivery that a status of Twilio's names; `None` while the message is on its way.
fn end(word: &str) -> Option<Status> {
    match word {
        "delivered" | "read" => Some(Status::Delivered),
        "undelivered" | "failed" | "canceled" => Some(Status::Failed),
        _ => None,
    }
}

const fn reason(status: Status) -> Reason {
    match status {
        Status::Delivered => Reason::Delivered,
        _ => Reason::Rejected,
    }
}

/// A provider's error code: `unknown` unless it has 1 to 10 digits.
fn code(text: &str) -> &str {
    let is_code = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_code { text } else { "unknown" }
}
