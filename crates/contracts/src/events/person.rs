//! What an event says of a person: all that a receiver needs to write to them, so that none asks user-api.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A person as one version of their account has them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The person.
    pub user_id: Uuid,
    /// Version of the account that this tells of; receivers drop what is older than what they hold.
    pub version: i64,
    /// Address for mail.
    pub email: String,
    /// Name as the person wrote it.
    pub name: String,
    /// BCP 47 language tag; unknown ones are served in English.
    pub locale: String,
    /// E.164 number, when the person gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// IANA time zone, when the person gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// State of the account: `active`, `suspended`, `deleting`.
    pub status: String,
}

impl Person {
    /// Somebody, as the examples of events have them.
    pub fn example() -> Self {
        Self {
            user_id: Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001),
            version: 1,
            email: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            locale: "en".to_owned(),
            phone: None,
            time_zone: None,
            status: "active".to_owned(),
        }
    }
}

impl std::fmt::Debug for Person {
    /// Personal data stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("user_id", &self.user_id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
