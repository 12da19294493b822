//! The message `email.sent.v1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Person;
use crate::EventData;

/// A mail server took responsibility for an email: `email.sent.v1`, from email-worker to the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmailSent {
    /// The email (email-worker's delivery id).
    pub email_id: Uuid,
    /// Whom it was written to.
    pub user_id: Uuid,
    /// Which mail it was, for example `welcome`.
    pub template: String,
    /// The event that asked for the mail: what joins it to its notification.
    pub source_event_id: Uuid,
    /// The notification that asked for it, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<Uuid>,
    /// Message-ID header of the mail, without its angle brackets.
    pub message_id: String,
    /// Why it ended as it did, where that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl EventData for EmailSent {
    const TYPE: &'static str = "email.sent.v1";

    fn example() -> Self {
        let event = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0002);
        Self {
            email_id: event,
            user_id: Person::example().user_id,
            template: "welcome".to_owned(),
            source_event_id: event,
            notification_id: None,
            message_id: "abc@waypost".to_owned(),
            reason: None,
        }
    }
}
