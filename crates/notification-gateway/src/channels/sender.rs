//! The dispatcher's sender: each delivery to its channel.

use common::dispatch::{Begun, Delivery, Outcome, RecordError, Sender};
use common::messaging::Change;

use super::sms::Sms;

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
    async fn send(&self, delivery: &Delivery, begun: &Begun) -> Outcome {
        match delivery.channel.as_str() {
            SMS => self.sms.send(delivery, begun).await,
            // A row of a newer version that wrote a channel which this one does not have.
            other => Outcome::Retry {
                error: format!("this version has no channel {other}"),
                after: None,
            },
        }
    }

    /// Nobody outside of the gateway is told yet: the row is the record.
    async fn record(&self, _: &mut Change, _: &Delivery, _: &Outcome) -> Result<(), RecordError> {
        Ok(())
    }
}
