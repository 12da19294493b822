//! SMS by Twilio's Messages API, or by anything that speaks it.

use anyhow::Context;
use common::config::Sms as SmsSettings;
use common::dispatch::{Begun, Delivery, Outcome, Reason, Wait};
use common::outbound::{OutboundClient, OutboundError, OutboundResponse, Repeat};
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::channel::{Channel, Notice, Planned};

/// Who delivers, in delivery rows.
const PROVIDER: &str = "twilio";

/// Codes that come with a 400 and are about our number, not the recipient's: it is not ours, or can't send there.
const ABOUT_OUR_SENDER: [i64; 5] = [21212, 21603, 21606, 21659, 21660];

/// Codes of another form than 21xxx that are about the recipient's number: it was sent too much.
const ABOUT_ONE_NUMBER: [i64; 5] = [14107, 60202, 60203, 60205, 60212];

/// What a delivery row holds for this channel.
#[derive(Serialize, Deserialize)]
struct SmsPayload {
    /// E.164 number.
    to: String,
    text: String,
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
}

impl Channel for Sms {
    const NAME: &'static str = "sms";

    fn plan(notice: &Notice<'_>) -> Option<Planned> {
        let to = notice.recipient.phone.clone()?;
        let mut delivery = notice.delivery(Self::NAME, Self::NAME);
        delivery.provider = Some(PROVIDER.to_owned());
        delivery.payload = json!(SmsPayload {
            to,
            text: notice.text_outside.to_owned()
        });
        Some(Planned::Sent(delivery))
    }

    async fn send(&self, delivery: &Delivery, begun: &Begun) -> Outcome {
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

/// Only what the provider itself says of this message is final. Whatever else comes may be about us, the way there,
/// or somebody in between (a proxy's page, a redirect), and passes.
fn judge(answer: &OutboundResponse) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        return match answer.json::<Created>() {
            Ok(Created { sid }) => Outcome::Accepted {
                provider_message_id: Some(sid),
            },
            Err(_) => unknown(format!("HTTP {} with an answer that can't be read", status.as_u16())),
        };
    }
    let code = answer.json::<Refused>().ok().map(|refused| refused.code);
    let error = match code {
        Some(code) => format!("HTTP {}, code {code}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    match (status, code) {
        (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(code))
            if !ABOUT_OUR_SENDER.contains(&code) =>
        {
            return rejected(error);
        }
        _ if answer.is_passing_failure() => {}
        // About our account, its token or sender, or about who answers there: the message waits until that is put right.
        _ => tracing::error!(
            error,
            "the SMS provider does not take our calls: check providers.sms and what stands before the provider"
        ),
    }
    let of_one = code.is_some_and(is_about_one_number);
    let wait = if of_one { Wait::Delivery } else { Wait::Destination };
    Outcome::Retry {
        error,
        after: answer.retry_after().map(wait),
    }
}

/// Whether a code is about the number that a message goes to. Any other, and none at all, is about our account.
fn is_about_one_number(code: i64) -> bool {
    // 21611: our own number has too many messages that wait.
    let is_of_recipient = (21000..22000).contains(&code) && code != 21611 && !ABOUT_OUR_SENDER.contains(&code);
    is_of_recipient || ABOUT_ONE_NUMBER.contains(&code)
}

fn failure(error: &OutboundError) -> Outcome {
    match error {
        OutboundError::Unavailable { retry_after, .. } => Outcome::Unavailable { after: *retry_after },
        OutboundError::TooLarge { .. } | OutboundError::Timeout { .. } | OutboundError::Stalled { .. } => {
            unknown(error.to_string())
        }
        // The request may have gone out; a connection that never was is told apart.
        OutboundError::Transport(cause) if !cause.is_connect() => unknown(error.to_string()),
        _ => Outcome::Retry {
            error: error.to_string(),
            after: None,
        },
    }
}

/// An answer that can't be told from a success, or none: tried again later, under the same idempotency key.
fn unknown(error: String) -> Outcome {
    Outcome::Unknown { error }
}

/// An answer that will be the same next time.
fn rejected(error: impl Into<String>) -> Outcome {
    Outcome::Failed {
        reason: Reason::Rejected,
        error: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &'static str) -> Outcome {
        judge(&OutboundResponse {
            status: status.try_into().unwrap(),
            headers: [("retry-after".parse().unwrap(), "7".parse().unwrap())]
                .into_iter()
                .collect(),
            body: body.into(),
        })
    }

    #[test]
    fn only_what_the_provider_says_of_the_message_is_final() {
        let refused = r#"{"code": 21211, "message": "not a number"}"#;
        for status in [400, 422] {
            assert!(matches!(answered(status, refused), Outcome::Failed { .. }), "{status}");
            for page in [
                "",
                "<html>Please log in</html>",
                "{}",
                r#"{"code": "x"}"#,
                r#"{"code": 21606}"#,
            ] {
                assert!(
                    matches!(answered(status, page), Outcome::Retry { .. }),
                    "{status} {page}"
                );
            }
        }
        let others = (300..600).filter(|status| !matches!(status, 400 | 422));
        for status in others {
            let outcome = answered(status, refused);
            assert!(
                matches!(outcome, Outcome::Retry { after: Some(_), .. }),
                "{status}: {outcome:?}"
            );
        }
    }

    #[test]
    fn one_number_s_wait_is_told_from_the_account_s() {
        let after = |body| match answered(429, body) {
            Outcome::Retry { after, .. } => after.unwrap(),
            other => panic!("{other:?}"),
        };
        let wait = std::time::Duration::from_secs(7);
        for about_one in [r#"{"code": 21610}"#, r#"{"code": 14107}"#, r#"{"code": 60203}"#] {
            assert_eq!(after(about_one), Wait::Delivery(wait), "{about_one}");
        }
        for about_us in [
            "",
            "{}",
            r#"{"code": 20429}"#,
            r#"{"code": 21611}"#,
            r#"{"code": 21606}"#,
        ] {
            assert_eq!(after(about_us), Wait::Destination(wait), "{about_us}");
        }
    }

    #[test]
    fn a_success_without_a_message_s_id_is_no_success_and_no_failure() {
        for page in ["", "<html>Please log in</html>", "{}", r#"{"sid": 7}"#] {
            for status in [200, 201, 204] {
                assert!(
                    matches!(answered(status, page), Outcome::Unknown { .. }),
                    "{status} {page}"
                );
            }
        }
    }
}
