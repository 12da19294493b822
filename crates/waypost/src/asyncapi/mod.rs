//! The messages between services as `AsyncAPI` 3 has them: docs/asyncapi.yaml, from the types of the crate contracts.

mod document;
mod headers;
mod yaml;

pub use document::document;
