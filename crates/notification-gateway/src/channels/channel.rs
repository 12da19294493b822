//! What a way to reach a person is.

use common::dispatch::{Delivery, NewDelivery, Outcome, Progress, Settled};
use uuid::Uuid;

use crate::tables::recipients;

/// What a person is told, for the channels.
pub(crate) struct Notice<'a> {
    pub(crate) recipient: &'a recipients::Model,
    /// The event that asked for it. Each channel delivers a notice of one event once.
    pub(crate) source_event_id: Uuid,
    /// The whole notice as one text, for a channel outside of the product.
    pub(crate) text_outside: &'a str,
}

impl Notice<'_> {
    /// A delivery of the notice over a channel. `destination` names what fails, and is left alone, as a whole.
    pub(super) fn delivery(&self, channel: &'static str, destination: &str) -> NewDelivery {
        let recipient = self.recipient.user_id.to_string();
        NewDelivery::new(self.source_event_id, channel, recipient, destination.to_owned())
    }
}

/// How a notice goes over one channel.
pub(crate) enum Planned {
    /// The dispatcher sends it.
    Sent(NewDelivery),
    /// It has arrived with the commit.
    Arrived(NewDelivery, Settled),
}

/// One way to reach a person. Its file says everything about it: whom it reaches, what it says, how an answer is judged.
pub(crate) trait Channel {
    /// Its name in deliveries, settings and metrics.
    const NAME: &'static str;

    /// How a notice goes this way; `None` when its person can't be reached so. Does no I/O.
    fn plan(notice: &Notice<'_>) -> Option<Planned>;

    /// Sends what was planned, once. The dispatcher decides when to try again.
    fn send(&self, delivery: &Delivery, progress: &Progress) -> impl Future<Output = Outcome> + Send;
}
