//! What a delivery row holds for this channel, as JSON.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    /// E.164 number.
    pub(super) to: String,
    pub(super) text: String,
}
