//! Times in settings: a number, whose unit stands in its key's name (`.._ms`, `.._s`).

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Reads a number of milliseconds.
///
/// # Errors
/// When the reader can't take it for a whole number of 0 or more.
pub fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// Reads a number of seconds.
///
/// # Errors
/// When the reader can't take it for a whole number of 0 or more.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

/// Reads numbers of milliseconds, none of them 0, with commas between.
pub(super) fn millis_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let delays = text
        .split(',')
        .map(|part| part.trim().parse().map(Duration::from_millis))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| de::Error::custom("must be milliseconds with commas between, such as 10000,60000"))?;
    if delays.iter().any(Duration::is_zero) {
        return Err(de::Error::custom("a delay of 0 is not one"));
    }
    Ok(delays)
}
