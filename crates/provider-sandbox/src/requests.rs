//! What the providers were asked: the newest requests, bounded by count and by size.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix_web::HttpRequest;
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::faults::{Mode, What};
use crate::target::{Asked, Provider, Target};

const MAX_REQUESTS: usize = 10_000;
/// All bodies and headers together; the oldest requests go first.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// RFC 3339 with six digits behind the second, as the services write it: such texts sort as the times do.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// One request, as it came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Recorded {
    /// Whose form it has: `sms` whatever the account, which the path shows.
    provider: Provider,
    #[serde(skip)]
    asked: Asked,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
    at: String,
    answered: Answered,
}

/// The status that was answered, or the way in which there was none.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Answered {
    Status(u16),
    Mode(Mode),
}

impl Recorded {
    pub(crate) fn new(asked: Asked, request: &HttpRequest, body: &[u8], what: What, success: u16) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in request.headers() {
            let secret = matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie");
            let value = if secret {
                "[redacted]".into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|present| {
                    present.push_str(", ");
                    present.push_str(&value);
                })
                .or_insert_with(|| value.clone().into_owned());
        }
        let answered = match what {
            What::Succeed => Answered::Status(success),
            What::Fail { status, .. } => Answered::Status(status),
            What::Misbehave(mode) => Answered::Mode(mode),
        };
        Self {
            provider: asked.provider,
            asked,
            method: request.method().to_string(),
            path: request.uri().to_string(),
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
            at: now(),
            answered,
        }
    }

    /// The memory that it takes, roughly.
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        self.path.len() + self.body.len() + headers.sum::<usize>()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a record's time is for people to read; nothing is decided by it"
)]
fn now() -> String {
    written(OffsetDateTime::now_utc())
}

fn written(at: OffsetDateTime) -> String {
    at.format(TIME).unwrap_or_default()
}

/// The log of requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    items: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl Requests {
    pub(crate) fn push(&self, request: Recorded) {
        let mut log = self.lock();
        log.bytes += request.bytes();
        log.items.push_back(Arc::new(request));
        while log.items.len() > MAX_REQUESTS || log.bytes > MAX_BYTES {
            let Some(oldest) = log.items.pop_front() else { break };
            log.bytes -= oldest.bytes();
        }
    }

    pub(crate) fn list(&self, target: Option<&Target>) -> Vec<Arc<Recorded>> {
        let log = self.lock();
        let fits = |request: &&Arc<Recorded>| target.is_none_or(|target| request.asked.fits(target));
        log.items.iter().filter(fits).cloned().collect()
    }

    pub(crate) fn clear(&self, target: Option<&Target>) {
        let mut log = self.lock();
        log.items
            .retain(|request| target.is_some_and(|target| !request.asked.fits(target)));
        log.bytes = log.items.iter().map(|request| request.bytes()).sum();
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_time_has_six_digits_behind_the_second_whatever_they_are() {
        for (later, text) in [
            (Duration::ZERO, "1970-01-01T00:00:00.000000Z"),
            (Duration::milliseconds(1_120), "1970-01-01T00:00:01.120000Z"),
            (Duration::nanoseconds(123_456_789), "1970-01-01T00:00:00.123456Z"),
        ] {
            assert_eq!(written(OffsetDateTime::UNIX_EPOCH + later), text);
        }
    }
}
