//! One SMS provider: an account of Twilio's Messages API, or of anything that speaks it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use common::dispatch::{Delivery, Exchange, ExchangeStatus, Progress, Unsaid};
use common::outbound::{CallOptions, Destination, Entry, Heard as Tries, Outbound, OutboundClient, Repeat, Said};
use common::process::State;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::answer::Heard;
use super::message::Message;
use super::order::Rank;
use crate::settings::{AfterUnknown, Sms as SmsSettings, SmsProvider};

/// Where there is another provider, a call waits no longer than this for its turn at one.
const TURN: Duration = Duration::from_secs(2);
/// Fields of a provider's document that say what we said.
const REPEATED: [&str; 2] = ["body", "to"];
/// In the place of what is not kept.
const CUT: &str = "[cut]";

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
    /// The provider of these settings. With `alone` there is nobody else to ask, so a call may have several tries.
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
            // A wait that it asks for may be about one number: the channel reads the answer and decides.
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

    /// Asks the provider to take the message, and answers what came of it. Notes when the first try leaves, and each that
    /// was made.
    pub(super) async fn ask(&self, (delivery, message): (&Delivery, &Message), progress: &Progress) -> Heard {
        let mut form = vec![("To", &message.to), ("From", &self.sender), ("Body", &message.text)];
        form.extend(self.callback_url.get().map(|url| ("StatusCallback", url)));
        let request = self
            .client
            .request(Method::POST, self.url.clone())
            .basic_auth(&self.account, Some(self.token.expose_secret()))
            .header("Idempotency-Key", delivery.id.to_string())
            .form(&form);
        let tries = Tries::telling(progress.beginning());
        let options = CallOptions {
            repeat: self.repeat,
            heard: Some(tries.clone()),
            entry: if delivery.retry_now {
                Entry::Probe
            } else {
                Entry::AsOthers
            },
        };
        let heard = Heard::of(self.client.execute_as(request, options).await);
        self.exchanges(&heard, tries.tries(), message)
            .into_iter()
            .for_each(|exchange| progress.note(exchange));
        heard
    }

    /// Does not call the provider for `wait`, because it asked for that.
    pub(super) fn pause(&self, wait: Duration) {
        self.client.pause(wait);
    }

    pub(super) fn state(&self) -> State {
        self.client.state()
    }

    /// What is kept of a call: each try that was made. The outcome of the call is the outcome of the last try.
    fn exchanges(&self, heard: &Heard, tries: Vec<Said>, message: &Message) -> Vec<Exchange> {
        let unsaid = Unsaid::default()
            .secret(self.token.expose_secret())
            .secret(&message.text)
            .secret(&message.to)
            .text(&message.text);
        let last = tries.len().saturating_sub(1);
        let exchange = |(place, said): (usize, Said)| {
            let (status, reason) = if place == last { heard.kept() } else { came_of(&said) };
            Exchange {
                provider: self.name.to_string(),
                status,
                answer: answer(&said).map(|answer| unsaid.of(&answer)),
                reason,
            }
        };
        let mut exchanges: Vec<_> = tries.into_iter().enumerate().map(exchange).collect();
        if exchanges.is_empty()
            && let Heard::Unknown { said, .. } = heard
        {
            // The call was broken off in the middle of a try.
            exchanges.push(Exchange {
                provider: self.name.to_string(),
                status: ExchangeStatus::Unknown,
                answer: None,
                reason: Some(said.clone()),
            });
        }
        exchanges
    }
}

/// A try after which there was another one.
fn came_of(said: &Said) -> (ExchangeStatus, Option<String>) {
    let status = if said.may_be_received {
        ExchangeStatus::Unknown
    } else {
        ExchangeStatus::Failed
    };
    let reason = said.status.map(|status| format!("HTTP {}", status.as_u16()));
    (status, reason.or_else(|| said.error.clone()))
}

/// A document without the fields that repeat the message and its recipient, in whichever form.
fn without_message(body: &str) -> String {
    let mut document = serde_json::from_str(body).unwrap_or_default();
    if matches!(document, Value::Object(_)) && cut(&mut document) {
        return document.to_string();
    }
    body.to_owned()
}

fn cut(value: &mut Value) -> bool {
    let cut_of = |(name, value): (&String, &mut Value)| {
        if REPEATED.iter().any(|repeated| name.eq_ignore_ascii_case(repeated)) {
            *value = CUT.into();
            return true;
        }
        cut(value)
    };
    match value {
        Value::Object(fields) => fields.iter_mut().map(cut_of).fold(false, |any, one| any | one),
        Value::Array(items) => items.iter_mut().map(cut).fold(false, |any, one| any | one),
        _ => false,
    }
}

/// The provider's answer as it is kept: the status, and the document on the lines below.
fn answer(said: &Said) -> Option<String> {
    let status = said.status?;
    let body = String::from_utf8_lossy(&said.body);
    Some(
        format!("HTTP {}\n{}", status.as_u16(), without_message(body.trim()))
            .trim_end()
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_nothing_of_the_message_in_whichever_form() {
        for (body, kept) in [
            (
                r#"{"sid": "SM1", "Body": "Your code is 1", "To": 15550100, "more": [{"to": ["x"]}]}"#,
                Some(r#"{"Body":"[cut]","To":"[cut]","more":[{"to":"[cut]"}],"sid":"SM1"}"#),
            ),
            (r#"{"code": 20003,  "message": "no"}"#, None),
            ("to be or not", None),
            ("[1]", None),
        ] {
            let found = without_message(body);
            let same = |text: &str| serde_json::from_str::<Value>(text).ok();
            match kept {
                Some(kept) => assert_eq!(same(&found), same(kept)),
                None => assert_eq!(found, body),
            }
        }
    }
}
