//! Spans of time in arguments, such as `30m`.

/// Reads a span of `most` seconds at most.
fn read(text: &str, most: u64) -> Result<u64, String> {
    let wrong = || format!("must be a time from 1s to {}h, such as 90s, 30m or 2h", most / 3600);
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let span = number.checked_mul(seconds).filter(|span| (1..=most).contains(span));
    span.ok_or_else(wrong)
}

/// Reads a time of a day at most, such as `30m`.
pub(super) fn within_a_day(text: &str) -> Result<u64, String> {
    read(text, 86_400)
}

/// Reads a time of a week at most.
pub(super) fn within_a_week(text: &str) -> Result<u64, String> {
    read(text, 604_800)
}

/// Reads an age of ten years at most.
pub(super) fn age(text: &str) -> Result<u64, String> {
    read(text, 315_360_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_its_unit() {
        for (text, expected) in [("1s", 1), ("30m", 1800), ("24h", 86_400), ("1d", 86_400)] {
            assert_eq!(within_a_day(text), Ok(expected));
        }
        assert_eq!((within_a_week("7d"), age("3650d")), (Ok(604_800), Ok(315_360_000)));
        for bad in [
            "",
            "0s",
            "30",
            "m",
            "-1s",
            "1.5h",
            "25h",
            "2d",
            "1m30s",
            "99999999999999999999s",
            "307445734561825861m",
            "3é",
        ] {
            assert!(within_a_day(bad).is_err(), "{bad}");
        }
    }
}
