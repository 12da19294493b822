//! In the product itself: there as soon as it is written.

use common::dispatch::{Delivery, Outcome, Progress, Reason, Settled, Status};

use super::channel::{Channel, Notice, Planned};

pub(crate) struct InApp;

impl Channel for InApp {
    const NAME: &'static str = "in_app";

    fn plan(notice: &Notice<'_>) -> Option<Planned> {
        let here = Settled {
            status: Status::Delivered,
            reason: Reason::Delivered,
            provider_message_id: None,
        };
        Some(Planned::Arrived(notice.delivery(Self::NAME, Self::NAME), here))
    }

    /// A row that waits needs no sending: its notification is in the product already.
    async fn send(&self, _: &Delivery, _: &Progress) -> Outcome {
        Outcome::Delivered {
            provider_message_id: None,
        }
    }
}
