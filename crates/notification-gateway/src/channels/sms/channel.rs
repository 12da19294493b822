//! The channel: asks one provider after the other until one takes the message.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::Timestamp;
use common::dispatch::{Delivery, Holds, Outcome, Progress, Reason, Wait};
use common::outbound::Outbound;
use common::process::State;
use secrecy::ExposeSecret;
use serde_json::json;

use super::super::channel::{Channel, Notice, Planned};
use super::answer::Heard;
use super::message::Message;
use super::order::order;
use super::provider::Provider;
use crate::settings::{AfterUnknown, Sms as SmsSettings};

/// The name under which the first of several providers is held: its own name, `sms`, means all of them in a hold.
const FIRST: &str = "sms.first";
/// Where there are other providers, a delivery waits no longer than this for one that asked for a pause: the pause may have
/// been meant for one number, and the provider itself is left alone for no longer either.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// While its provider is held, a delivery is looked at again after this: somebody may end the hold at any moment.
const HELD: Duration = Duration::from_secs(5);

/// SMS, by whichever provider takes it.
pub(crate) struct Sms {
    /// The first is the one of `providers.sms` itself.
    providers: Vec<Provider>,
    after_unknown: AfterUnknown,
    /// Which of them an operator has left alone.
    holds: Holds,
    /// Where providers tell what became of a message, once that is known.
    callback_url: Arc<OnceLock<String>>,
}

/// What those who were asked said, until one took it.
#[derive(Default)]
struct Asked {
    said: Vec<String>,
    has_unknown: bool,
    /// The shortest wait that was asked for; none as soon as one of them asked for no wait.
    wait: Option<Wait>,
    /// When the first of those that were not asked is worth asking.
    soonest: Option<Duration>,
}

impl Sms {
    /// What can be held beside all SMS: where there are several providers, each of them.
    pub(crate) fn deliverers(settings: &SmsSettings) -> Vec<String> {
        let also = settings.also.keys().map(|name| format!("{}.{name}", Self::NAME));
        let first = (!settings.also.is_empty()).then(|| FIRST.to_owned());
        first.into_iter().chain(also).collect()
    }

    /// All providers of the settings.
    pub(crate) fn new(settings: &SmsSettings, outbound: &Outbound, holds: Holds) -> anyhow::Result<Self> {
        let named = |name: &String| Arc::from(format!("{}.{name}", Self::NAME));
        let first = (Arc::from(Self::NAME), settings.first());
        let also = settings.also.iter().map(|(name, also)| (named(name), also.clone()));
        let alone = settings.also.is_empty();
        let callback_url = Arc::<OnceLock<String>>::default();
        let providers = std::iter::once(first)
            .chain(also)
            .map(|(name, provider)| Provider::new((name, &provider), settings, (alone, &callback_url), outbound))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            providers,
            after_unknown: settings.after_unknown,
            holds,
            callback_url,
        })
    }

    /// From now on, each message asks its provider to tell this address what became of it. Only the first call counts.
    pub(crate) fn tell_at(&self, url: String) {
        self.callback_url.get_or_init(|| url);
    }

    /// Where providers tell what became of a message.
    pub(crate) fn callback_url(&self) -> Option<&str> {
        self.callback_url.get().map(String::as_str)
    }

    /// Name and token of the providers where we have this account; none without a token, as anybody could sign for it.
    pub(crate) fn accounts(&self, account: &str) -> impl Iterator<Item = (Arc<str>, &str)> {
        let with_token = self
            .providers
            .iter()
            .map(|provider| (provider, provider.token.expose_secret()));
        with_token
            .filter(move |(provider, token)| provider.account == account && !token.is_empty())
            .map(|(provider, token)| (Arc::clone(&provider.name), token))
    }

    /// How its providers are, by their breakers and by the waits that they asked for; degraded while they differ.
    pub(crate) fn state(&self) -> State {
        let states = || self.providers.iter().map(Provider::state);
        match (states().min(), states().max()) {
            (Some(best), Some(worst)) if best == worst => best,
            _ => State::Degraded,
        }
    }

    /// Whom to ask, in order.
    fn in_order(&self) -> Vec<&Provider> {
        let ranks: Vec<_> = self.providers.iter().map(|provider| provider.rank).collect();
        let order = order(&ranks, fastrand::f64);
        order.into_iter().map(|place| &self.providers[place]).collect()
    }

    /// For how long this provider is still held, by itself or with all others; `None` when it is not.
    fn held(&self, provider: &Provider) -> Option<Duration> {
        let is_first_of_several = self.providers.len() > 1 && &*provider.name == Self::NAME;
        let own = if is_first_of_several { FIRST } else { &*provider.name };
        let now = Timestamp::now();
        [Self::NAME, own]
            .into_iter()
            .filter_map(|name| self.holds.left(name, now))
            .max()
    }

    /// What a wait that a provider asked for means: where there are others, it is that provider's alone.
    fn waits(&self, provider: &Provider, wait: Option<Wait>) -> Option<Wait> {
        match wait {
            Some(Wait::Destination(span)) if self.providers.len() > 1 => {
                provider.pause(span);
                Some(Wait::Delivery(span.min(LONGEST_PAUSE)))
            }
            other => other,
        }
    }
}

impl Channel for Sms {
    const NAME: &'static str = "sms";

    fn plan(notice: &Notice<'_>) -> Option<Planned> {
        let to = notice.recipient.phone.clone()?;
        let mut delivery = notice.delivery(Self::NAME, Self::NAME);
        delivery.payload = json!(Message {
            to,
            text: notice.text_outside.to_owned()
        });
        Some(Planned::Sent(delivery))
    }

    async fn send(&self, delivery: &Delivery, progress: &Progress) -> Outcome {
        let Ok(message) = serde_json::from_value::<Message>(delivery.payload.clone()) else {
            // A newer gateway beside this one may have written it, and can send it.
            tracing::error!(delivery = %delivery.id, "an SMS can't be read; it is tried again later");
            return Outcome::Retry {
                error: "this version can't read the delivery".to_owned(),
                after: None,
            };
        };
        let held_by = delivery.provider.as_deref();
        let holder = self.providers.iter().find(|provider| Some(&*provider.name) == held_by);
        if holder.is_some() && self.after_unknown == AfterUnknown::Stop {
            // The process of an earlier try ended before the answer came.
            return unknown(delivery.last_error.clone().unwrap_or_default());
        }
        progress.ask();
        let mut asked = Asked::default();
        for provider in holder.map_or_else(|| self.in_order(), |holder| vec![holder]) {
            if let Some(left) = self.held(provider) {
                asked.not_asked(left.min(HELD));
                continue;
            }
            if self.after_unknown != AfterUnknown::Next {
                // Before the call, so that it is known also when the send is broken off.
                progress.held_by(&provider.name);
            }
            let heard = provider.ask((delivery, &message), progress).await;
            match heard {
                Heard::Taken { id } => {
                    progress.held_by(&provider.name);
                    return Outcome::Accepted {
                        provider_message_id: Some(id),
                    };
                }
                Heard::Refused(said) if asked.has_unknown => return unknown(format!("{}; then {said}", asked.said())),
                Heard::Refused(said) => return rejected(said),
                Heard::Unknown { said, wait } => {
                    rest(provider, wait);
                    match self.after_unknown {
                        AfterUnknown::Next => asked.unknown(said),
                        AfterUnknown::Retry => return Outcome::Unknown { error: said },
                        AfterUnknown::Stop => return unknown(said),
                    }
                }
                Heard::NotNow { said, wait } => asked.not_now(said, self.waits(provider, wait)),
                Heard::NotAsked { after } => asked.not_asked(after),
            }
            if holder.is_none() {
                progress.held_by_nobody();
            }
        }
        // When only the holder may be asked, the delivery alone waits for it; others may go to another provider.
        asked.outcome(if holder.is_some() {
            Wait::Delivery
        } else {
            Wait::Destination
        })
    }
}

impl Asked {
    fn said(&self) -> String {
        self.said.join("; then ")
    }

    fn not_now(&mut self, said: String, wait: Option<Wait>) {
        let is_first = self.said.is_empty();
        self.said.push(said);
        self.wait = match (self.wait, wait) {
            (None, Some(wait)) if is_first => Some(wait),
            (Some(one), Some(other)) => Some(if one.span() <= other.span() { one } else { other }),
            // A provider that names no wait is asked again by the schedule.
            _ => None,
        };
    }

    fn unknown(&mut self, said: String) {
        self.said.push(said);
        self.has_unknown = true;
    }

    fn not_asked(&mut self, after: Duration) {
        self.soonest = Some(self.soonest.map_or(after, |before| before.min(after)));
    }

    /// How the delivery stands, after nobody took it.
    fn outcome(self, rests: impl Fn(Duration) -> Wait) -> Outcome {
        let error = self.said();
        match (self.soonest, self.wait) {
            _ if self.has_unknown => Outcome::Unknown { error },
            (Some(after), _) if self.said.is_empty() => Outcome::Unavailable { after: rests(after) },
            // A provider that was not asked may be worth asking before the others' waits are over.
            (Some(after), Some(wait)) if after < wait.span() => Outcome::Retry {
                error,
                after: Some(Wait::Delivery(after)),
            },
            (_, after) => Outcome::Retry { error, after },
        }
    }
}

/// Leaves a provider alone that may have a message, if it asked for a wait that is not about one number: no message goes to
/// it, also where it is the only one. The message itself comes again by the schedule, if at all.
fn rest(provider: &Provider, wait: Option<Wait>) {
    if let Some(Wait::Destination(span)) = wait {
        provider.pause(span);
    }
}

/// Somebody may have it, and nobody is to get it again.
fn unknown(error: String) -> Outcome {
    Outcome::Failed {
        reason: Reason::Unknown,
        error,
    }
}

/// An answer that will be the same next time.
fn rejected(error: String) -> Outcome {
    Outcome::Failed {
        reason: Reason::Rejected,
        error,
    }
}
