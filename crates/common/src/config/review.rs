//! The look at settings that were read: what no single value shows, and what is said of them at the start.
//!
//! Whoever owns a section looks at it, `common` at those that several share. The start, `waypost doctor` and
//! `waypost config` read settings in one way, so they all refuse the same.

use std::borrow::Cow;

use url::{Host, Url};

use super::settings::Profile;
use super::several::a_url_a_host;
use super::weaknesses::{WeakPart, Weaknesses};
use super::{ConfigError, HttpUrl, Service};

/// Gathers what is found in the settings of one service.
#[derive(Debug)]
pub struct Review {
    service: Service,
    profile: Profile,
    refused: Option<ConfigError>,
    found: Weaknesses,
}

impl Review {
    pub(super) fn new(service: Service, profile: Profile) -> Self {
        Self {
            service,
            profile,
            refused: None,
            found: Weaknesses::default(),
        }
    }

    /// Whose settings they are.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Whether the profile is production.
    pub fn is_production(&self) -> bool {
        self.profile == Profile::Production
    }

    /// Refuses the value of `key`. Of several that are refused, only the first is told.
    pub fn refuse(&mut self, key: &str, problem: &str) {
        self.refused.get_or_insert_with(|| ConfigError::Rule {
            key: key.to_owned(),
            problem: problem.to_owned(),
        });
    }

    /// Refuses the value of `key` unless it is an HTTP address of this kind.
    pub fn wants_http(&mut self, key: &str, value: &str, kind: HttpUrl) {
        if let Err(problem) = kind.parse(value) {
            self.refuse(key, problem);
        }
    }

    /// Notes that `key` has a value of development's: production does not start with it unless
    /// `process.allow_development_parts` is set. Under any other profile this does nothing.
    pub fn serves_development(&mut self, key: impl Into<Cow<'static, str>>, cure: &'static str) {
        if self.is_production() {
            self.found.development.push(WeakPart { key: key.into(), cure });
        }
    }

    /// Notes that by `key` something secret goes over a network in clear text. A network of one's own may be trusted with
    /// it, so that is said at the start of production and not refused.
    pub fn goes_in_clear(&mut self, key: impl Into<Cow<'static, str>>, cure: &'static str) {
        if self.is_production() {
            self.found.in_clear.push(WeakPart { key: key.into(), cure });
        }
    }

    /// What was found. An error keeps the program from starting: a value that is refused, or parts of development that
    /// nobody allowed.
    pub(super) fn end(self, allows_development: bool) -> Result<Weaknesses, ConfigError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if !self.found.development.is_empty() && !allows_development {
            return Err(ConfigError::DevelopmentParts(self.found.development));
        }
        Ok(self.found)
    }
}

/// Whether one of these URLs, with commas between them or between their hosts, leads to another machine, and `is_open` holds
/// for it. A URL without a host, or that can't be read, leads nowhere.
pub fn leads_elsewhere(urls: &str, is_open: impl Fn(&Url) -> bool) -> bool {
    let urls = a_url_a_host(urls);
    let mut urls = urls.split(',').filter_map(|url| Url::parse(url.trim()).ok());
    urls.any(|url| !is_loopback(&url) && is_open(&url))
}

/// Whether a URL leads to this port of the machine itself over HTTP, by `localhost` or an address of the loopback.
pub fn leads_to_own_port(url: &str, port: u16) -> bool {
    let leads = |url: &Url| {
        url.scheme() == "http" && url.has_host() && is_loopback(url) && url.port_or_known_default() == Some(port)
    };
    Url::parse(url).is_ok_and(|url| leads(&url))
}

/// A parameter of a URL (`?tls=required`).
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_port_is_known_by_each_of_its_names() {
        for own in [
            "http://127.0.0.1:8090",
            "http://127.0.0.1:8090/",
            "http://localhost:8090",
            "http://LOCALHOST:8090/v1",
            "http://[::1]:8090",
        ] {
            assert!(leads_to_own_port(own, 8090), "{own}");
        }
        for other in [
            "http://127.0.0.1:8091",
            "http://localhost",
            "http://sms.test:8090",
            "localhost:8090",
            "",
        ] {
            assert!(!leads_to_own_port(other, 8090), "{other}");
        }
    }
}
