//! Which deliveries are meant: the same fields in the query of a list and in the body of an action.

use std::time::Duration;

use sea_orm::{ActiveEnum, Iterable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::dispatch::{Filter, Reason, Status};
use crate::http::{Violation, Violations};

/// Longest text of a field: an address has 254 characters.
const LONGEST: usize = 320;
/// Most seconds of an age: ten years.
const OLDEST_S: i64 = 315_360_000;

/// The fields, each of which may be left out.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeliveryFilter)]
pub(super) struct Fields {
    /// An address, a number or a person's id: whatever the service's deliveries have, in any case of letters
    pub(super) recipient: Option<String>,
    /// Such as `email` or `sms`
    pub(super) channel: Option<String>,
    /// Such as `mail` (all mail), `sms`, `sms.backup`
    pub(super) destination: Option<String>,
    /// Such as `pending` or `failed`
    pub(super) status: Option<String>,
    /// Such as `rejected`
    pub(super) reason: Option<String>,
    /// Asked for so many seconds ago at least
    #[schema(minimum = 0)]
    pub(super) older_than_s: Option<i64>,
}

impl std::fmt::Debug for Fields {
    /// They may name a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields(..)")
    }
}

impl Fields {
    /// Whether all fields were left out.
    pub(super) const fn are_none(&self) -> bool {
        self.recipient.is_none()
            && self.channel.is_none()
            && self.destination.is_none()
            && self.status.is_none()
            && self.reason.is_none()
            && self.older_than_s.is_none()
    }

    /// Reads the fields; `None` when one breaks a rule. `broken` then names each such field below `at`, such as `/filter`.
    pub(super) fn read(self, at: &str, broken: &mut Violations) -> Option<Filter> {
        let mut text = |name: &str, value: Option<String>| {
            let checked = value.map(short);
            broken.note_optional(&format!("{at}/{name}"), checked)
        };
        let recipient = text("recipient", self.recipient);
        let channel = text("channel", self.channel);
        let destination = text("destination", self.destination);
        let status = broken.note_optional(&format!("{at}/status"), self.status.as_deref().map(status));
        let reason = broken.note_optional(&format!("{at}/reason"), self.reason.as_deref().map(reason));
        let older_than = broken.note_optional(&format!("{at}/older_than_s"), self.older_than_s.map(age));
        Some(Filter {
            recipient: recipient?,
            channel: channel?,
            destination: destination?,
            status: status?,
            reason: reason?,
            older_than: older_than?,
        })
    }
}

fn short(text: String) -> Result<String, Violation> {
    // PostgreSQL takes no NUL in a text.
    if text.is_empty() || text.chars().count() > LONGEST || text.contains('\0') {
        return Err(Violation {
            code: "length",
            detail: "must have 1 to 320 characters",
        });
    }
    Ok(text)
}

fn status(word: &str) -> Result<Status, Violation> {
    Status::iter().find(|status| status.as_str() == word).ok_or(Violation {
        code: "unknown",
        detail: "must be a state of deliveries, such as pending or failed",
    })
}

fn reason(word: &str) -> Result<Reason, Violation> {
    Reason::iter()
        .find(|reason| reason.to_value() == word)
        .ok_or(Violation {
            code: "unknown",
            detail: "must be a reason of deliveries, such as rejected or exhausted",
        })
}

fn age(seconds: i64) -> Result<Duration, Violation> {
    let seconds = Some(seconds).filter(|seconds| (0..=OLDEST_S).contains(seconds));
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map(Duration::from_secs).ok_or(Violation {
        code: "out-of-range",
        detail: "must be a number from 0 to 315360000",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Problem;

    #[test]
    fn every_field_that_is_none_of_ours_is_named() {
        let fields = Fields {
            recipient: Some(String::new()),
            status: Some("lost".to_owned()),
            reason: Some("because".to_owned()),
            older_than_s: Some(-1),
            ..Fields::default()
        };
        let mut broken = Violations::default();
        assert!(fields.read("/filter", &mut broken).is_none());
        let problem = Problem::from(broken);
        let named: Vec<_> = problem
            .field_errors()
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        let all = [
            "/filter/recipient",
            "/filter/status",
            "/filter/reason",
            "/filter/older_than_s",
        ];
        assert_eq!(named, all);
    }

    #[test]
    fn every_state_and_reason_can_be_asked_for_by_its_word() {
        for one in Status::iter() {
            assert_eq!(status(one.as_str()), Ok(one));
        }
        for one in Reason::iter() {
            assert_eq!(reason(&one.to_value()), Ok(one));
        }
    }
}
