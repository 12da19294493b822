//! What a delivery row says of a mail: a consumer writes it, the sender reads it.

use common::dispatch::Delivery;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::emails::Template;

/// The channel of every delivery of this service.
pub(crate) const CHANNEL: &str = "email";
/// All mail goes through one server, so it has one name for caps and pauses.
pub(crate) const DESTINATION: &str = "mail";

/// What a delivery row keeps of a mail: enough to write it, never the mail itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MailOrder {
    pub(crate) template: Template,
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    pub(crate) locale: String,
}

impl MailOrder {
    /// What the row keeps; `None`: it is not one of a mail.
    pub(super) fn of(delivery: &Delivery) -> Option<Self> {
        Self::deserialize(&delivery.payload).ok()
    }
}
