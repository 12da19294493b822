//! All channels: how they are opened, how a notice goes over them, and each delivery to its own.

use std::future::ready;
use std::sync::Arc;

use common::dispatch::{Delivery, Outcome, Progress, RecordError, Sender, Waker};
use common::messaging::Change;
use common::outbound::Outbound;
use common::process::{Health, Need, State};
use common::service::Kit;

use super::channel::{Channel, Notice, Planned};
use super::in_app::InApp;
use super::sms::Sms;
use crate::settings::Providers;

/// The channel of mails. Email-worker sends them and tells of them in events; the gateway sends nothing over it.
pub(crate) const EMAIL: &str = "email";

/// Every channel that the dispatcher sends over.
#[derive(Clone)]
pub(crate) struct Channels {
    pub(crate) sms: Arc<Sms>,
}

impl Channels {
    /// Their names, in deliveries.
    pub(crate) const NAMES: [&'static str; 2] = [InApp::NAME, Sms::NAME];

    /// Opens the channels, each with its client. Tells the kit which of them, and which providers, an operator may hold.
    pub(crate) fn open(settings: &Providers, outbound: &Outbound, kit: &mut Kit<'_>) -> anyhow::Result<Self> {
        let holds = kit.holds(vec![Sms::NAME.to_owned()], Sms::deliverers(&settings.sms));
        Ok(Self {
            sms: Arc::new(Sms::new(&settings.sms, outbound, holds)?),
        })
    }

    /// Shows in readiness the state of the channels that call a provider. A provider is judged by its breaker and by the
    /// waits that it asked for, and never probed.
    pub(crate) fn show_in(&self, health: &Health, dispatcher: &Waker) {
        let (sms, dispatcher) = (Arc::clone(&self.sms), dispatcher.clone());
        health.register(Sms::NAME, Need::Optional, move || {
            let asked = if dispatcher.is_asked_to_wait(Sms::NAME) {
                State::Degraded
            } else {
                State::Up
            };
            ready(sms.state().max(asked))
        });
    }
}

/// How a notice reaches its person: over each channel that can.
pub(crate) fn plan(notice: &Notice<'_>) -> Vec<Planned> {
    [InApp::plan(notice), Sms::plan(notice)].into_iter().flatten().collect()
}

impl Sender for Channels {
    const EFFECTS: &'static [&'static str] = &[Sms::NAME];

    /// Only SMS has an effect to measure: a notice in the product has arrived when it is taken in.
    fn effect(&self, delivery: &Delivery) -> Option<&'static str> {
        (delivery.channel == Sms::NAME).then_some(Sms::NAME)
    }

    async fn send(&self, delivery: &Delivery, progress: &Progress) -> Outcome {
        match delivery.channel.as_str() {
            InApp::NAME => InApp.send(delivery, progress).await,
            Sms::NAME => self.sms.send(delivery, progress).await,
            // A newer version wrote this row, for a channel that this version does not have.
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tables::recipients;

    #[test]
    fn a_notice_goes_over_each_channel_that_reaches_its_person() {
        let mut recipient = recipients::Model::ada();
        let planned = |recipient: &recipients::Model| {
            let notice = Notice {
                recipient,
                source_event_id: Uuid::nil(),
                text_outside: "Hello",
            };
            let of_channel = |planned| match planned {
                Planned::Arrived(delivery, _) | Planned::Sent(delivery) => (delivery.channel, delivery.payload),
            };
            plan(&notice).into_iter().map(of_channel).collect::<Vec<_>>()
        };
        assert_eq!(planned(&recipient).len(), 1);
        recipient.phone = Some("+15550100".to_owned());
        let [(_, _), (sms, payload)] = &planned(&recipient)[..] else {
            panic!("not two channels")
        };
        assert_eq!(
            (&**sms, &payload["to"], &payload["text"]),
            ("sms", &"+15550100".into(), &"Hello".into())
        );
    }
}
