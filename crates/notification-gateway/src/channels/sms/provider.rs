//! One SMS provider: an account of Twilio's Messages API, or of anything that speaks it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use common::dispatch::{Delivery, Exchange, ExchangeStatus};
use common::outbound::{Destination, Outbound, OutboundClient, Repeat};
use common::process::State;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

use super::answer::Heard;
use super::message::Message;
use super::order::Rank;
use crate::settings::{AfterUnknown, Sms as SmsSettings, SmsProvider};

/// Where there is another provider, a call waits no longer than this for its turn at one.
const TURN: Duration = Duration::from_secs(2);

pub(super) struct Provider {
    /// Its name as a destination: `sms`, or `sms.<name>`.
    pub(super) name: Arc<str>,
    pub(super) rank: Rank,
    pub(super) account: String,
    pub(super) token: SecretString,
    sender: String,
    url: Url,
    client: OutboundClient,
    callback_url: Arc<OnceLock<String>>,
    repeat: Repeat,
}

impl Provider {
    /// The provider of these settings. With `alone` there is nobody else to ask, and a call is worth tries of its own.
    pub(super) fn new(
        (name, settings): (Arc<str>, &SmsProvider),
        all: &SmsSettings,
        (alone, callback_url): (bool, &Arc<OnceLock<String>>),
        outbound: &Outbound,
    ) -> anyhow::Result<Self> {
        let address = format!(
            "{}/2010-04-01/Accounts/{}/Messages.json",
            settings.url.trim_end_matches('/'),
            settings.account
        );
        let url = address
            .parse()
            .with_context(|| format!("the url of {name} is no address"))?;
        let usual = Destination::new(Arc::clone(&name), all.call_timeout, all.try_timeout);
        let destination = Destination {
            places: all.places,
            rate: settings.agreed_rate(),
            // It may be about one number: the channel reads it and says so.
            pauses_by_itself: false,
            ..usual
        };
        let destination = if alone {
            destination
        } else {
            Destination {
                retries: 0,
                call_timeout: all.call_timeout.min(all.try_timeout + TURN),
                ..destination
            }
        };
        Ok(Self {
            client: outbound.client(&destination)?,
            name,
            rank: Rank {
                priority: settings.priority,
                weight: settings.weight,
            },
            account: settings.account.clone(),
            token: settings.token.clone(),
            sender: if settings.sender.is_empty() {
                all.sender.clone()
            } else {
                settings.sender.clone()
            },
            url,
            callback_url: Arc::clone(callback_url),
            repeat: match all.after_unknown {
                // The dispatcher would try again anyway; the key lets a provider that knows it drop the copy.
                AfterUnknown::Next | AfterUnknown::Retry => Repeat::Safe,
                AfterUnknown::Stop => Repeat::Never,
            },
        })
    }

    /// Asks it to take the message.
    pub(super) async fn ask(&self, delivery: &Delivery, message: &Message) -> Heard {
        let mut form = vec![("To", &message.to), ("From", &self.sender), ("Body", &message.text)];
        form.extend(self.callback_url.get().map(|url| ("StatusCallback", url)));
        let request = self
            .client
            .request(Method::POST, self.url.clone())
            .basic_auth(&self.account, Some(self.token.expose_secret()))
            .header("Idempotency-Key", delivery.id.to_string())
            .form(&form);
        Heard::of(self.client.execute(request, self.repeat).await)
    }

    /// Calls it no more for so long, because it asked for that.
    pub(super) fn pause(&self, wait: Duration) {
        self.client.pause(wait);
    }

    pub(super) fn state(&self) -> State {
        self.client.state()
    }

    /// What is kept of a call that reached it; nothing of one that was not made.
    pub(super) fn exchange(&self, heard: &Heard) -> Option<Exchange> {
        let (status, answer) = match heard {
            Heard::Taken { .. } => (ExchangeStatus::Accepted, None),
            Heard::Refused(said) => (ExchangeStatus::Rejected, Some(said)),
            Heard::NotNow { said, .. } => (ExchangeStatus::Failed, Some(said)),
            Heard::Unknown(said) => (ExchangeStatus::Unknown, Some(said)),
            Heard::NotAsked { .. } => return None,
        };
        Some(Exchange {
            provider: self.name.to_string(),
            status,
            answer: answer.cloned(),
        })
    }
}
