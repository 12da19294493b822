//! What the URLs of broker and store name: the scheme is looked at here, once.
//!
//! Only which backend it is. Whether the rest is an address says who connects to it, with the setting's name.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// What `broker.url` names.
#[derive(Debug, Clone)]
pub enum BrokerUrl {
    /// A broker in the memory of the one process that there is.
    Memory,
    /// The nodes of a RabbitMQ, with commas between.
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

impl From<String> for BrokerUrl {
    fn from(text: String) -> Self {
        if text.starts_with("memory:") {
            Self::Memory
        } else {
            Self::Nodes(text.into())
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
        let nodes = BrokerUrl::from("amqp://me:s3cret@one,amqps://two");
        let redis = StoreUrl::from("redis://:s3cret@one");
        assert!(matches!(nodes, BrokerUrl::Nodes(_)) && matches!(redis, StoreUrl::Redis(_)));
        assert!(!format!("{nodes:?}{redis:?}").contains("s3cret"));
    }
}
