//! The form of every list.

use serde::Serialize;
use utoipa::ToSchema;

/// Some items of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<T: ToSchema> {
    /// They.
    pub items: Vec<T>,
    /// What to ask for the next ones with; null when there are no more.
    #[schema(required)]
    pub next_cursor: Option<String>,
}
