//! What the gateway does with events: one file a type.
//!
//! A consumer writes what one transaction can hold, the inbox row with it, and is done. It never
//! talks to a provider.

mod email_sent;
mod user_registered;

use common::database::Database;
use common::dispatch::Waker;
use common::messaging::{Handler, Message, Rejection};
use contracts::EventData;
use contracts::events::{EmailSent, UserRegistered};
use contracts::topology::GATEWAY_EVENTS;

use crate::notifications::Live;

/// Name in the inbox.
const CONSUMER: &str = GATEWAY_EVENTS.name;

/// The handler of the gateway's queue.
pub(crate) struct GatewayEvents {
    pub(crate) database: Database,
    pub(crate) live: Live,
    pub(crate) dispatcher: Waker,
}

impl Handler for GatewayEvents {
    async fn handle(&self, message: &Message) -> Result<(), Rejection> {
        match message.kind.as_str() {
            UserRegistered::TYPE => user_registered::handle(self, message).await,
            EmailSent::TYPE => email_sent::handle(self, message).await,
            other => Err(Rejection::dead_letter(format!("nobody here handles {other}"))),
        }
    }
}
