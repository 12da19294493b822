//! The message `user.registered.v1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Person;
use crate::EventData;

/// Somebody signed up: `user.registered.v1`, from user-api to both workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UserRegistered {
    /// Who they are; the data of the message is this alone.
    pub person: Person,
}

impl EventData for UserRegistered {
    const TYPE: &'static str = "user.registered.v1";

    fn example() -> Self {
        let person = Person {
            phone: Some("+15550100".to_owned()),
            ..Person::example()
        };
        Self { person }
    }
}
