//! A message that was set aside, as an operator looks at it.

use contracts::envelope::header;
use serde::Serialize;

use super::fingerprint::{cause, fingerprint};
use super::wire::Wire;
use crate::telemetry::TraceContext;

/// A message that was set aside, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Name of the work queue that it came from.
    pub queue: String,
    /// Id of the message, where it had one.
    pub id: Option<String>,
    /// Type of the message, where it had one.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Why it was set aside.
    pub reason: String,
    /// How many attempts were counted; 0 when the broker set it aside before one had failed.
    pub attempts: u32,
    /// When it was set aside, RFC 3339 UTC, where that is known.
    pub time: Option<String>,
    /// Id of the trace that it belongs to, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// Twelve hexadecimal digits, the same for all letters of one queue and one type that failed alike.
    pub fingerprint: String,
    /// What failed, without the ids, numbers and quotations that differ from message to message.
    pub cause: String,
    /// Why the first attempt failed; `None` when none did before the message was refused or the broker set it aside.
    pub first_error: Option<String>,
    /// Why the last attempt failed; where it refused the message or panicked too often, only `reason` tells.
    pub last_error: Option<String>,
}

impl DeadLetter {
    pub(super) fn of(queue: &str, wire: &Wire) -> Self {
        let text = |name: &str| wire.header(name).map(str::to_owned);
        // The broker itself sets messages aside too, and leaves its own reason.
        let brokers_own = || text("x-first-death-reason").map(|reason| format!("set aside by the broker: {reason}"));
        let reason = text(header::REASON)
            .or_else(brokers_own)
            .unwrap_or_else(|| "unknown".to_owned());
        let cause = text(header::CAUSE).unwrap_or_else(|| cause("refused", &reason));
        let kind = text(header::TYPE);
        Self {
            queue: queue.to_owned(),
            fingerprint: fingerprint(queue, kind.as_deref().unwrap_or_default(), &cause),
            id: text(header::ID),
            kind,
            reason,
            attempts: wire.count(header::ATTEMPT),
            time: text(header::FAILED_AT),
            trace_id: wire.trace().as_ref().map(TraceContext::trace_id).map(str::to_owned),
            cause,
            first_error: text(header::FIRST_ERROR),
            last_error: text(header::LAST_ERROR),
        }
    }
}
