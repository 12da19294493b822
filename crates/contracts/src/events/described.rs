//! A message type as the generated descriptions of all messages need it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};

use crate::EventData;

/// One message type: its name, its writer and its schema.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Type with its version.
    pub kind: &'static str,
    /// The service that writes it.
    pub source: &'static str,
    /// Its data as JSON Schema (draft 7), with the example and without references.
    pub schema: fn() -> Schema,
}

impl Described {
    pub(crate) const fn of<T: EventData + JsonSchema>(source: &'static str) -> Self {
        Self {
            kind: T::TYPE,
            source,
            schema: schema::<T>,
        }
    }
}

fn schema<T: EventData + JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    if let Some(examples) = json_schema!({"examples": [T::example()]}).remove("examples") {
        schema.insert("examples".to_owned(), examples);
    }
    schema
}
