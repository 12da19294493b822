//! A list of networks, as a setting has it: addresses and CIDRs with commas between.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::listed::{parsed, parts};

/// Networks; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads `10.0.0.0/8, 2001:db8::1`; an empty text names no network.
    ///
    /// # Errors
    /// What is wrong with the first part that is no network, or that is the whole internet.
    pub fn parse(text: &str) -> Result<Self, String> {
        parts(text).map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(part: &str) -> Result<IpNet, String> {
    let network = part
        .parse::<IpNet>()
        .or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network.prefix_len() == 0 => Err(format!(
            "`{part}` is every address there is: anybody could then say where they come from; name the proxies' own networks"
        )),
        Ok(network) => Ok(network),
        Err(_) => Err(format!(
            "`{part}` is no network: write addresses or CIDRs with commas between, such as 10.0.0.0/8,2001:db8::1"
        )),
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_the_rest_is_named() {
        let networks = Networks::parse("10.0.0.0/8, 2001:db8::1").unwrap();
        let has = |address: &str| networks.contains(address.parse().unwrap());
        assert!(has("10.1.2.3") && has("2001:db8::1"));
        assert!(!has("11.0.0.1") && !has("2001:db8::2"));
        assert_eq!(Networks::parse("").unwrap(), Networks::default());
        for bad in ["10.0.0.0/33", "proxy", "0.0.0.0/0", "::/0", "10.0.0.1;10.0.0.2"] {
            assert!(Networks::parse(bad).unwrap_err().contains(bad), "{bad}");
        }
    }
}
