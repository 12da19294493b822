//! SMS by Twilio's Messages API, or by anything that speaks it.

use anyhow::Context;
use common::config::Sms as SmsSettings;
use common::dispatch::{Begun, Delivery, Outcome, Reason};
use common::outbound::{OutboundClient, OutboundError, OutboundResponse, Repeat};
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

/// Who delivers, in delivery rows.
pub(crate) const PROVIDER: &str = "twilio";

/// What a delivery row holds for this channel.
#[derive(Serialize, Deserialize)]
pub(crate) struct SmsPayload {
    /// E.164 number.
    pub(crate) to: String,
    pub(crate) text: String,
}

pub(crate) struct Sms {
    settings: SmsSettings,
    url: Url,
    client: OutboundClient,
}

/// The part of Twilio's answer that is used.
#[derive(Deserialize)]
struct Created {
    sid: String,
}

/// Twilio's error document; its message may quote the number, so only the code is kept.
#[derive(Deserialize)]
struct Refused {
    code: i64,
}

impl Sms {
    pub(crate) fn new(settings: SmsSettings, client: OutboundClient) -> anyhow::Result<Self> {
        let address = format!(
            "{}/2010-04-01/Accounts/{}/Messages.json",
            settings.url.trim_end_matches('/'),
            settings.account
        );
        let url = address.parse().context("providers.sms.url is no address")?;
        Ok(Self { settings, url, client })
    }

    pub(super) async fn send(&self, delivery: &Delivery, begun: &Begun) -> Outcome {
        let Ok(payload) = serde_json::from_value::<SmsPayload>(delivery.payload.clone()) else {
            return rejected("the delivery's payload can't be read");
        };
        let form = [
            ("To", &payload.to),
            ("From", &self.settings.sender),
            ("Body", &payload.text),
        ];
        let request = self
            .client
            .request(Method::POST, self.url.clone())
            .basic_auth(&self.settings.account, Some(self.settings.token.expose_secret()))
            .header("Idempotency-Key", delivery.id.to_string())
            .form(&form);
        // A call that waits for its first try counts as begun too: it waits no longer than the breaker says.
        begun.mark();
        // The dispatcher would try again anyway; the key lets a provider that knows it drop the copy.
        match self.client.execute(request, Repeat::Safe).await {
            Ok(answer) => judge(&answer),
            Err(error) => failure(&error),
        }
    }
}

fn judge(answer: &OutboundResponse) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        return match answer.json::<Created>() {
            Ok(Created { sid }) => Outcome::Accepted {
                provider_message_id: Some(sid),
            },
            // Not the provider's own answer: no success may be read into it.
            Err(_) => rejected(format!("HTTP {} with an answer that can't be read", status.as_u16())),
        };
    }
    if answer.is_passing_failure() {
        return Outcome::Retry {
            error: format!("HTTP {}", status.as_u16()),
            after: answer.retry_after(),
        };
    }
    let code = answer
        .json::<Refused>()
        .map(|refused| format!(", code {}", refused.code));
    let error = format!("HTTP {}{}", status.as_u16(), code.unwrap_or_default());
    if matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
    ) {
        // About our account and its token, not about this message, which waits until they are put right.
        tracing::error!(
            error,
            "the SMS provider does not let us in: check providers.sms.account and .token"
        );
        return Outcome::Retry { error, after: None };
    }
    rejected(error)
}

fn failure(error: &OutboundError) -> Outcome {
    match error {
        OutboundError::Unavailable { retry_after, .. } => Outcome::Unavailable { after: *retry_after },
        OutboundError::TooLarge { .. } => rejected(error.to_string()),
        _ => Outcome::Retry {
            error: error.to_string(),
            after: None,
        },
    }
}

/// An answer that will be the same next time.
fn rejected(error: impl Into<String>) -> Outcome {
    Outcome::Failed {
        reason: Reason::Rejected,
        error: error.into(),
    }
}
