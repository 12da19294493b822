//! What a provider's answer says of a message, of one number, or of our account.

use common::dispatch::{ExchangeStatus, Wait};
use common::outbound::{OutboundError, OutboundResponse};
use reqwest::StatusCode;
use serde::Deserialize;

/// Codes that are about the message: the number that it goes to, or its text. All others of 21xxx are about our account
/// there, its sender's number or our callback's address: another provider may send the message, or this one later.
const ABOUT_THE_MESSAGE: [i64; 15] = [
    21211, 21214, 21217, 21265, 21401, 21421, 21602, 21604, 21605, 21610, 21614, 21617, 21619, 21620, 21635,
];

/// Codes other than these that are about the recipient's number: too much was sent to it.
const ABOUT_ONE_NUMBER: [i64; 5] = [14107, 60202, 60203, 60205, 60212];

/// What came of one call at a provider.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It took the message, under this id.
    Taken { id: String },
    /// It will never take the message.
    Refused(String),
    /// It does not take it now; somebody else may.
    NotNow { said: String, wait: Option<Wait> },
    /// It may have the message. An answer that leaves this open may ask for a wait all the same.
    Unknown { said: String, wait: Option<Wait> },
    /// It was not asked: our breaker or limit kept the call back, for this long.
    NotAsked { after: std::time::Duration },
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

impl Heard {
    pub(super) fn of(outcome: Result<OutboundResponse, OutboundError>) -> Self {
        match outcome {
            Ok(answer) => judge(&answer),
            Err(error) => failure(&error),
        }
    }

    /// What is kept of the last try that was made: what came of it, and why.
    pub(super) fn kept(&self) -> (ExchangeStatus, Option<String>) {
        match self {
            Self::Taken { .. } => (ExchangeStatus::Accepted, None),
            Self::Refused(said) => (ExchangeStatus::Rejected, Some(said.clone())),
            Self::NotNow { said, .. } => (ExchangeStatus::Failed, Some(said.clone())),
            Self::Unknown { said, .. } => (ExchangeStatus::Unknown, Some(said.clone())),
            // A try was made, and the next one was kept back.
            Self::NotAsked { .. } => (ExchangeStatus::Failed, None),
        }
    }
}

/// Only what the provider itself says of this message is final. Whatever else comes may be about us, the way there,
/// or somebody in between (a proxy's page, a redirect), and passes.
fn judge(answer: &OutboundResponse) -> Heard {
    let status = answer.status;
    if status.is_success() {
        return match answer.json::<Created>() {
            Ok(Created { sid }) => Heard::Taken { id: sid },
            Err(_) => Heard::Unknown {
                said: format!("HTTP {} with an answer that can't be read", status.as_u16()),
                wait: None,
            },
        };
    }
    let code = answer.json::<Refused>().ok().map(|refused| refused.code);
    let said = match code {
        Some(code) => format!("HTTP {}, code {code}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    match (status, code) {
        (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(code))
            if ABOUT_THE_MESSAGE.contains(&code) =>
        {
            return Heard::Refused(said);
        }
        _ if answer.is_passing_failure() => {}
        // About our account, its token or sender, or about who answers there: the message waits until that is put right.
        _ => tracing::error!(
            error = said,
            "the SMS provider does not take our calls: check providers.sms and what stands before the provider"
        ),
    }
    let of_one = code.is_some_and(is_about_one_number);
    let wait = if of_one { Wait::Delivery } else { Wait::Destination };
    let wait = answer.retry_after().map(wait);
    if answer.is_after_unknown || answer.leaves_open() {
        return Heard::Unknown { said, wait };
    }
    Heard::NotNow { said, wait }
}

/// Whether a code is about the number that a message goes to. Any other code, or no code, is about our account.
fn is_about_one_number(code: i64) -> bool {
    ABOUT_THE_MESSAGE.contains(&code) || ABOUT_ONE_NUMBER.contains(&code)
}

fn failure(error: &OutboundError) -> Heard {
    match error {
        OutboundError::Unavailable { retry_after, .. } => Heard::NotAsked { after: *retry_after },
        // A wait that an earlier answer asked for is over: the call waited for it before it tried again.
        error if error.may_be_received() => Heard::Unknown {
            said: error.to_string(),
            wait: None,
        },
        OutboundError::NotAgain { retry_after, .. } => Heard::NotNow {
            said: error.to_string(),
            wait: Some(Wait::Destination(*retry_after)),
        },
        _ => Heard::NotNow {
            said: error.to_string(),
            wait: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &'static str) -> Heard {
        judge(&OutboundResponse {
            status: status.try_into().unwrap(),
            headers: [("retry-after".parse().unwrap(), "7".parse().unwrap())]
                .into_iter()
                .collect(),
            body: body.into(),
            is_after_unknown: false,
        })
    }

    #[test]
    fn only_what_the_provider_says_of_the_message_is_final() {
        let refused = r#"{"code": 21211, "message": "not a number"}"#;
        for status in [400, 422] {
            assert!(matches!(answered(status, refused), Heard::Refused(_)), "{status}");
            for page in [
                "",
                "<html>Please log in</html>",
                "{}",
                r#"{"code": "x"}"#,
                r#"{"code": 21606}"#,
                r#"{"code": 21609}"#,
                r#"{"code": 21657}"#,
                r#"{"code": 20003}"#,
                r#"{"code": 400}"#,
            ] {
                assert!(
                    matches!(answered(status, page), Heard::NotNow { .. }),
                    "{status} {page}"
                );
            }
        }
        let others = (300..600).filter(|status| !matches!(status, 400 | 422 | 502 | 504 | 520 | 524));
        for status in others {
            let outcome = answered(status, refused);
            assert!(
                matches!(outcome, Heard::NotNow { wait: Some(_), .. }),
                "{status}: {outcome:?}"
            );
        }
    }

    #[test]
    fn a_gateway_that_has_no_answer_tells_nothing_of_the_message() {
        for status in [502, 504, 520, 524] {
            for body in ["", "<html>Gateway Time-out</html>", r#"{"code": 20500}"#] {
                let Heard::Unknown { said, wait } = answered(status, body) else {
                    panic!("{status} {body}");
                };
                assert!(said.starts_with(&format!("HTTP {status}")), "{status} {body}");
                // It may well be overloaded: what it asks for is kept.
                let seven = std::time::Duration::from_secs(7);
                assert_eq!(wait, Some(Wait::Destination(seven)), "{status} {body}");
            }
        }
        // Whoever answers so did not get the request whole.
        assert!(matches!(answered(408, ""), Heard::NotNow { .. }));
    }

    #[test]
    fn one_number_s_wait_is_told_from_the_account_s() {
        let after = |body| match answered(429, body) {
            Heard::NotNow { wait, .. } => wait.unwrap(),
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
    fn what_follows_a_try_that_may_have_arrived_is_no_word_of_that_one() {
        let heard = |status: u16, body: &'static str| {
            judge(&OutboundResponse {
                status: status.try_into().unwrap(),
                headers: reqwest::header::HeaderMap::new(),
                body: body.into(),
                is_after_unknown: true,
            })
        };
        assert!(matches!(heard(503, ""), Heard::Unknown { .. }));
        assert!(matches!(heard(429, ""), Heard::Unknown { .. }));
        assert!(matches!(heard(201, r#"{"sid": "SM1"}"#), Heard::Taken { .. }));
        assert!(matches!(heard(400, r#"{"code": 21211}"#), Heard::Refused(_)));
    }

    #[test]
    fn a_success_without_a_message_s_id_is_no_success_and_no_failure() {
        for page in ["", "<html>Please log in</html>", "{}", r#"{"sid": 7}"#] {
            for status in [200, 201, 204] {
                assert!(
                    matches!(answered(status, page), Heard::Unknown { .. }),
                    "{status} {page}"
                );
            }
        }
    }
}
