//! The answer to a call, read whole, and what it says about another try.
//!
//! The retry layer and the caller read `Retry-After` and "not now" the same way, here.

use std::num::IntErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{StatusCode, header};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::OutboundError;
use crate::Timestamp;

/// An answer, read whole.
#[derive(Clone)]
pub struct OutboundResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Whether a try before this one may have been received, too.
    pub is_after_unknown: bool,
}

impl OutboundResponse {
    /// The body as JSON.
    ///
    /// # Errors
    /// What `serde_json` says when it is not.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// What `Retry-After` asks for, from now on and a day at most; `None` when it is not there or can't be read.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers, Timestamp::now())
    }

    /// Whether the status says "not now": 408, 429 or 5xx.
    pub fn is_passing_failure(&self) -> bool {
        is_passing(self.status)
    }

    /// Whether the status is that of a gateway that has no answer of the destination (502, 504, 520, 524). The destination
    /// may have received the call.
    pub fn leaves_open(&self) -> bool {
        leaves_open(self.status)
    }

    /// Takes 2xx only.
    ///
    /// # Errors
    /// [`OutboundError::Status`] for any other status.
    pub fn error_for_status(self) -> Result<Self, OutboundError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(OutboundError::Status {
            status: self.status.as_u16(),
            retry_after: self.retry_after(),
        })
    }
}

impl std::fmt::Debug for OutboundResponse {
    /// Without headers and body: they may hold personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Statuses that say "not now".
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Statuses by which a gateway says that it passed the call on and has no answer to pass back: none came in time (504), or
/// one that it can't read, which may be a connection that broke off (502); RFC 9110, 15.6.5 and 15.6.3. Some say 502 as well
/// when they got no connection: from here that looks the same. Cloudflare says 520 and 524 for these two.
///
/// 408 is not among them (15.5.9): whoever says it did not get the whole request. Nor are 500 and 503, which are taken for
/// the destination's own word: a 503 of somebody in between can't be told from it.
pub(super) fn leaves_open(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502 | 504 | 520 | 524)
}

/// A longer wait is cut: it is a mistake, or an attack on our clock.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Reads `Retry-After`, in seconds or as a date; a day at most.
pub(super) fn retry_after(headers: &header::HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let requested = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More seconds than there is a number for.
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => LONGEST_WAIT,
        Err(_) => Timestamp::from(OffsetDateTime::parse(text, &Rfc2822).ok()?).since(now),
    };
    Some(requested.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_has_no_answer_leaves_it_open_whether_the_call_arrived() {
        let open: Vec<u16> = (200..600)
            .filter(|status| leaves_open((*status).try_into().unwrap()))
            .collect();
        assert_eq!(open, [502, 504, 520, 524]);
        // Each is worth another try, where one does no harm.
        assert!(open.iter().all(|status| is_passing((*status).try_into().unwrap())));
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = Timestamp::from_micros(1_445_412_470_000_000); // Wed, 21 Oct 2015 07:27:50 GMT
        let read = |text: &str| {
            let headers = header::HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(read("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        for endless in [
            "18446744073709551615",
            "99999999999999999999",
            "Fri, 21 Oct 2095 07:28:00 GMT",
        ] {
            assert_eq!(read(endless), Some(LONGEST_WAIT));
        }
    }
}
