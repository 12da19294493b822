//! Times and spans as they are typed.

use std::time::Duration;

use common::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longest span that can be meant.
const MOST_DAYS: u64 = 3_650;

/// An instant: RFC 3339, or so long ago (`30m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) Timestamp);

/// Reads an instant.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Moment(at.into()));
    }
    let ago = span(text).map_err(|_| "must be a time such as 2026-11-30T06:00:00Z, or how long ago, such as 30m")?;
    Ok(Moment(Timestamp::now() - ago))
}

/// Reads a span such as `30s`, `5m`, `2h`, `1d`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a time such as 30s, 5m, 2h or 1d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let whole = number.checked_mul(seconds).filter(|whole| *whole <= MOST_DAYS * 86_400);
    whole.map(Duration::from_secs).ok_or_else(wrong)
}

/// Longest wait for what comes of a replay. Letters may have been held for ten minutes before it; both together stay below
/// the half an hour after which RabbitMQ takes unacknowledged messages back.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// Reads the span of a wait.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let wait = span(text)?;
    let is_short = wait <= LONGEST_WAIT;
    is_short
        .then_some(wait)
        .ok_or_else(|| "must be 15m at most: the broker lets nobody wait longer with its letters in hand".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_its_unit_and_an_instant_either_form() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2d"), Ok(Duration::from_hours(48)));
        for bad in ["", "s", "5", "-1s", "1.5h", "99999999999999999999s", "9999999d", "3é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
        assert_eq!(
            moment("1970-01-01T00:00:01Z").unwrap().0,
            Timestamp::from_micros(1_000_000)
        );
        assert!(moment("1h").unwrap() < moment("1m").unwrap());
        assert!(moment("yesterday").is_err());
        assert_eq!(wait("15m"), Ok(LONGEST_WAIT));
        assert!(wait("901s").is_err() && wait("a").is_err());
    }
}
