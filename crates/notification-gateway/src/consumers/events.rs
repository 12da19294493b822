//! The intake of the gateway's queue: each type to its file.

use common::dispatch::Waker;
use common::messaging::{Change, Intake, Message, Rejection};
use contracts::EventData;
use contracts::events::{EmailSent, UserRegistered, UserUpdated};

use super::{email_sent, user_registered, user_updated};
use crate::live::Live;

/// Takes in what the gateway's queue brings.
pub(crate) struct GatewayEvents {
    pub(crate) live: Live,
    pub(crate) dispatcher: Waker,
}

impl Intake for GatewayEvents {
    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        match message.kind.as_str() {
            UserRegistered::TYPE => {
                let followers = (self.live.clone(), self.dispatcher.clone());
                user_registered::take(message, change, followers).await
            }
            UserUpdated::TYPE => user_updated::take(message, change).await,
            EmailSent::TYPE => email_sent::take(message, change).await,
            other => Err(Rejection::dead_letter(format!("nobody here handles {other}"))),
        }
    }
}
