//! Names by which a development port may be called, as a setting has them: hosts with commas between.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer};

use super::listed::{parsed, parts};

/// Names beside those of the machine itself; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Reads `dev.example.com, 192.0.2.7`; an empty text names no further host.
    pub fn parse(text: &str) -> Self {
        let host = |name: &str| match name.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => without_port(name).to_ascii_lowercase(),
        };
        Self(parts(text).map(host).collect())
    }

    /// Whether a `Host` header, with or without a port, names the machine itself or one of these.
    pub fn are_named_by(&self, header: &str) -> bool {
        let host = without_port(header).to_ascii_lowercase();
        let is_loopback = host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        is_loopback || self.0.contains(&host)
    }
}

/// The host alone; of an IPv6 address without its brackets.
fn without_port(header: &str) -> &str {
    let header = header.trim();
    if let Some(rest) = header.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    header.rsplit_once(':').map_or(header, |(host, _)| host)
}

impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| Ok(Self::parse(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_names_and_those_configured_are_known() {
        let hosts = Hosts::parse("Dev.example.com:8025, 192.0.2.7, [2001:db8::7], 2001:db8::8");
        for known in [
            "localhost",
            "LOCALHOST:9080",
            "waypost.localhost:8025",
            "127.0.0.1:9080",
            "127.1.2.3",
            "[::1]:9080",
            "[::1]",
            "dev.example.com:9080",
            "192.0.2.7",
            "[2001:db8::7]:9080",
            "[2001:db8::8]",
        ] {
            assert!(hosts.are_named_by(known), "{known}");
        }
        for other in [
            "evil.example.com",
            "localhost.evil.example.com",
            "127.0.0.1.evil.example.com:9080",
            "192.0.2.8",
            "0.0.0.0",
            "[2001:db8::1]:80",
            "",
        ] {
            assert!(!hosts.are_named_by(other), "{other}");
        }
    }
}
