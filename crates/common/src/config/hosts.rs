//! Names by which a development port may be called, as a setting has them: hosts with commas between.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Deserializer};

use super::listed::{parsed, parts};

/// Names beside those of the machine itself; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Reads `dev.example.com, 192.0.2.7`; an empty text names no further host. A port is passed over.
    ///
    /// # Errors
    /// What is wrong with the first part that no `Host` header can be.
    pub fn parse(text: &str) -> Result<Self, String> {
        parts(text).map(host).collect::<Result<_, _>>().map(Self)
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

/// A host as it is compared.
fn host(part: &str) -> Result<String, String> {
    // An IPv6 address may stand without brackets, and has no port then.
    let name = match part.parse::<Ipv6Addr>() {
        Ok(_) => part,
        Err(_) if is_host(part) => without_port(part),
        Err(_) => {
            // The part is not told: a URL in it may have a password.
            return Err(
                "one is no host: write names and addresses alone, with commas between, such as dev.example.com, 192.0.2.7"
                    .to_owned(),
            );
        }
    };
    Ok(match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.to_ascii_lowercase(),
    })
}

/// Whether it can stand in a `Host` header (RFC 9112).
fn is_host(part: &str) -> bool {
    let is_name = |name: &str| {
        let is_fit = |sign: u8| sign.is_ascii_alphanumeric() || b"-._".contains(&sign);
        !name.is_empty() && name.bytes().all(is_fit)
    };
    if let Some(rest) = part.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, end)| {
            address.parse::<Ipv6Addr>().is_ok() && (end.is_empty() || end.strip_prefix(':').is_some_and(is_port))
        });
    }
    part.split_once(':')
        .map_or_else(|| is_name(part), |(name, port)| is_name(name) && is_port(port))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
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
        parsed(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_names_and_those_configured_are_known() {
        let hosts = Hosts::parse("Dev.example.com:8025, 192.0.2.7, [2001:db8:0::7], 2001:db8::8").unwrap();
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

    #[test]
    fn what_no_browser_calls_a_host_is_refused() {
        for wrong in [
            "http://dev.example.com",
            "dev.example.com/page",
            "dev.example.com:port",
            "me@dev.example.com",
            "*.example.com",
            "d\u{e9}v.example.com",
            "dev example.com",
            "[::1",
            "[dev]",
            "[::1]8025",
        ] {
            let error = Hosts::parse(&format!("localhost, {wrong}")).unwrap_err();
            assert!(error.starts_with("one is no host"), "{wrong}: {error}");
        }
        assert_eq!(Hosts::parse(" , "), Ok(Hosts::default()));
    }
}
