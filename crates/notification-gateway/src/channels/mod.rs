//! The ways to reach a person, one file a channel that talks to a provider.
//!
//! Only the dispatcher calls in here, for one delivery at a time. A channel turns the provider's
//! answer into an `Outcome` and decides nothing else: when to try again is the dispatcher's.

mod sms;

use common::dispatch::{Delivery, Outcome, Reason, Sender};
use sea_orm::{DatabaseTransaction, DbErr};

pub(crate) use sms::{PROVIDER as SMS_PROVIDER, Sms, SmsPayload};

/// In the product itself: there as soon as it is written.
pub(crate) const IN_APP: &str = "in_app";
/// By email-worker, which tells of it in events.
pub(crate) const EMAIL: &str = "email";
/// To a phone.
pub(crate) const SMS: &str = "sms";

/// Every channel that the dispatcher sends over.
pub(crate) struct Channels {
    pub(crate) sms: Sms,
}

impl Sender for Channels {
    async fn send(&self, delivery: &Delivery) -> Outcome {
        match delivery.channel.as_str() {
            SMS => self.sms.send(delivery).await,
            // A row of a newer version that wrote a channel which this one does not have.
            other => Outcome::Retry {
                error: format!("this version has no channel {other}"),
                after: None,
            },
        }
    }

    /// Nobody outside of the gateway is told yet: the row is the record.
    async fn record(&self, _: &DatabaseTransaction, _: &Delivery, _: &Outcome) -> Result<(), DbErr> {
        Ok(())
    }
}

/// An answer that will be the same next time.
fn rejected(error: impl Into<String>) -> Outcome {
    Outcome::Failed {
        reason: Reason::Rejected,
        error: error.into(),
    }
}
