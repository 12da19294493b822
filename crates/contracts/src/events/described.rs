//! All types, described: for whoever writes down what there is.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use super::{EmailSent, UserRegistered, UserUpdated};
use crate::EventData;

/// One message type, for descriptions.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Type with its version.
    pub kind: &'static str,
    /// The service that writes it.
    pub source: &'static str,
    /// Its data as JSON Schema (draft 7), without references.
    pub schema: fn() -> Schema,
}

/// Every message type of the system.
pub const ALL: &[Described] = &[
    described::<UserRegistered>("user-api"),
    described::<UserUpdated>("user-api"),
    described::<EmailSent>("email-worker"),
];

const fn described<T: EventData + JsonSchema>(source: &'static str) -> Described {
    Described {
        kind: T::TYPE,
        source,
        schema: schema::<T>,
    }
}

fn schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>()
}
