//! The messages as the commit e2cb75f has them. A copy that nobody changes: an old consumer reads as it did.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::Reader;

pub(super) const READERS: &[(&str, Reader)] = &[
    ("user.registered.v1", read::<Person>),
    ("user.updated.v1", read::<Person>),
    ("email.sent.v1", read::<EmailSent>),
];

fn read<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<T>(text).and_then(serde_json::to_value)
}

#[derive(Serialize, Deserialize)]
struct Person {
    user_id: Uuid,
    version: i64,
    email: String,
    name: String,
    locale: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    status: String,
}

#[derive(Serialize, Deserialize)]
struct EmailSent {
    email_id: Uuid,
    user_id: Uuid,
    template: String,
    source_event_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notification_id: Option<Uuid>,
    message_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}
