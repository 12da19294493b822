//! What the URLs of broker, store and outlets name: the scheme is looked at here, once.
//!
//! Only which backend it is. Whether the rest is an address is said by whoever connects to it, with the setting's name.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::several::a_url_a_host;

/// What `broker.url` names.
#[derive(Debug, Clone)]
pub enum BrokerUrl {
    /// A broker in the memory of the one process that there is.
    Memory,
    /// The nodes of a RabbitMQ: a URL each, with commas between, however they were written.
    Nodes(SecretString),
}

/// What `store.url` names.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// The memory of the process, which no other shares.
    Memory,
    /// A Redis, or the sentinels that know it.
    Redis(SecretString),
}

/// What `outlets.kafka.url` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KafkaServers {
    /// Nothing: there is no outlet.
    Off,
    /// Brokers to ask first, each `host:port`, with commas between.
    At(String),
    /// Something else, which is refused when the settings are looked at.
    Unknown,
}

impl From<String> for KafkaServers {
    fn from(text: String) -> Self {
        let is_server = |server: &str| {
            let Some((host, port)) = server.rsplit_once(':') else {
                return false;
            };
            // No path, and no user: what would be secret is not sent in clear text.
            let is_host = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
            is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        match text.strip_prefix("kafka://") {
            _ if text.is_empty() => Self::Off,
            Some(servers) if servers.split(',').all(is_server) => Self::At(servers.to_owned()),
            _ => Self::Unknown,
        }
    }
}

impl From<&str> for KafkaServers {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<'de> Deserialize<'de> for KafkaServers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl From<String> for BrokerUrl {
    fn from(text: String) -> Self {
        if text.starts_with("memory:") {
            Self::Memory
        } else {
            Self::Nodes(a_url_a_host(&text).into())
        }
    }
}

impl BrokerUrl {
    /// How many nodes it names; 0 in memory.
    pub fn nodes(&self) -> u32 {
        match self {
            Self::Memory => 0,
            // In a user or a password a comma is %2C.
            Self::Nodes(urls) => u32::try_from(urls.expose_secret().split(',').count()).unwrap_or(u32::MAX),
        }
    }
}

impl From<String> for StoreUrl {
    fn from(text: String) -> Self {
        if text.starts_with("memory://") {
            Self::Memory
        } else {
            Self::Redis(text.into())
        }
    }
}

impl From<&str> for BrokerUrl {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&str> for StoreUrl {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_which_backend_it_is_and_no_password_is_shown() {
        assert!(matches!(BrokerUrl::from("memory://"), BrokerUrl::Memory));
        assert!(matches!(StoreUrl::from("memory://"), StoreUrl::Memory));
        let nodes = BrokerUrl::from("amqp://me:s3cret@one,amqps://two,three");
        let redis = StoreUrl::from("redis://:s3cret@one");
        assert!(matches!(nodes, BrokerUrl::Nodes(_)) && matches!(redis, StoreUrl::Redis(_)));
        assert!(!format!("{nodes:?}{redis:?}").contains("s3cret"));
        assert_eq!([BrokerUrl::Memory.nodes(), nodes.nodes()], [0, 3]);
        let BrokerUrl::Nodes(nodes) = nodes else {
            panic!("not in memory");
        };
        assert_eq!(nodes.expose_secret(), "amqp://me:s3cret@one,amqps://two,amqps://three");
    }

    #[test]
    fn of_kafka_each_broker_has_a_host_and_a_port_and_nothing_else() {
        assert_eq!(KafkaServers::from(""), KafkaServers::Off);
        for servers in ["one:9092", "one:9092,two.example:9093", "[::1]:9092"] {
            let url = format!("kafka://{servers}");
            assert_eq!(KafkaServers::from(url), KafkaServers::At(servers.to_owned()));
        }
        for wrong in [
            "one:9092",
            "kafka://",
            "kafka://one",
            "kafka://one:0",
            "kafka://one:9092,",
            "kafka://one:9092/topic",
            "kafka://me:s3cret@one:9092",
            "kafkas://one:9092",
        ] {
            assert_eq!(KafkaServers::from(wrong), KafkaServers::Unknown, "{wrong}");
        }
    }
}
