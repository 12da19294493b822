//! The message `user.updated.v1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Person;
use crate::EventData;

/// Somebody changed what their account says of them: `user.updated.v1`, from user-api to the gateway.
///
/// It tells all that the account says now, so that a receiver needs no earlier event, in whatever order they come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UserUpdated {
    /// Who they are now; the data of the message is this alone.
    pub person: Person,
}

impl EventData for UserUpdated {
    const TYPE: &'static str = "user.updated.v1";

    fn example() -> Self {
        let person = Person {
            version: 2,
            time_zone: Some("Europe/Berlin".to_owned()),
            ..Person::example()
        };
        Self { person }
    }
}
