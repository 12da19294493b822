//! Where the store is: `store.url`, taken apart once, at the start.
//!
//! What is wrong with it is said then, with the setting's name and never with a password.

use deadpool_redis::redis::{Client, IntoConnectionInfo};
use secrecy::ExposeSecret;

use super::{
    OpenError,
    sentinel::Sentinels,
    tls::{Roots, client, secure},
};
use crate::config::StoreUrl;

/// What `store.url` names. Its `Debug` shows no password: the Redis client's types hide theirs.
#[derive(Debug)]
pub(super) enum Address {
    Memory,
    Node(Client),
    Sentinels(Sentinels),
}

impl Address {
    /// Takes `url` apart, for connections that trust `roots` alone.
    pub(super) fn parse(url: &StoreUrl, roots: Roots) -> Result<Self, OpenError> {
        let StoreUrl::Redis(url) = url else {
            return Ok(Self::Memory);
        };
        let url = url.expose_secret();
        let (scheme, rest) = url.split_once("://").ok_or(OpenError::NoScheme)?;
        match scheme {
            "redis" | "rediss" => {
                let node = url.into_connection_info().map_err(OpenError::Address)?;
                secure(node.addr())?;
                let client = client(node, &roots).map_err(OpenError::Address)?;
                Ok(Self::Node(client))
            }
            "redis+sentinel" => Sentinels::parse("redis", rest, roots).map(Self::Sentinels),
            "rediss+sentinel" => Sentinels::parse("rediss", rest, roots).map(Self::Sentinels),
            "redis+cluster" | "rediss+cluster" => Err(OpenError::Cluster),
            other if other.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                Err(OpenError::Scheme(other.to_owned()))
            }
            _ => Err(OpenError::NoScheme),
        }
    }
}

#[cfg(test)]
mod tests {
    use deadpool_redis::redis::ConnectionAddr;

    use super::*;

    fn refused(url: &str) -> String {
        match Address::parse(&url.into(), None) {
            Ok(address) => panic!("{url} was taken: {address:?}"),
            Err(error) => crate::process::chain(&error),
        }
    }

    #[test]
    fn nodes_with_and_without_tls_and_memory_are_taken() {
        assert!(matches!(Address::parse(&"memory://".into(), None), Ok(Address::Memory)));
        for url in [
            "redis://host",
            "redis://me:pa%40ss@host:7000/3",
            "rediss://:word@[::1]:7000",
        ] {
            assert!(
                matches!(Address::parse(&url.into(), None), Ok(Address::Node(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn sentinels_are_taken_with_their_master_and_its_database() {
        let url = "redis+sentinel://me:pa%40ss@one:26380,[::1],three/mymaster/3?sentinel_password=w%26rd";
        let Ok(Address::Sentinels(sentinels)) = Address::parse(&url.into(), None) else {
            panic!("not taken");
        };
        assert_eq!(sentinels.addresses(), ["one:26380", "::1:26379", "three:26379"]);
        let master = sentinels.client_at("10.0.0.7", 6400).unwrap();
        let info = master.get_connection_info();
        assert_eq!(info.addr().to_string(), "10.0.0.7:6400");
        let settings = info.redis_settings();
        assert_eq!((settings.username(), settings.password()), (Some("me"), Some("pa@ss")));
        assert_eq!(settings.db(), 3);
        let secure = Address::parse(&"rediss+sentinel://one/mymaster".into(), None);
        let Ok(Address::Sentinels(secure)) = secure else {
            panic!("not taken")
        };
        let master = secure.client_at("10.0.0.7", 6400).unwrap();
        assert!(matches!(
            master.get_connection_info().addr(),
            ConnectionAddr::TcpTls { .. }
        ));
    }

    #[test]
    fn what_is_refused_names_the_setting_and_no_password() {
        for url in [
            "http://me:s3cret@host",
            "s3cret@host:6379",
            "me:s3cret@://host",
            "redis://me:s3cret@host/x",
            "rediss://me:s3cret@host/#insecure",
            "redis+cluster://me:s3cret@host",
            "redis+sentinel://me:s3cret@one",
            "redis+sentinel://me:s3cret@one/",
            "redis+sentinel://me:s3cret@/mymaster",
            "redis+sentinel://me:s3cret@one:x/mymaster",
            "redis+sentinel://me:s3cret@one,me:s3cret@two/mymaster",
            "redis+sentinel://me:s3cret@one/mymaster/x",
            "redis+sentinel://me:s3cret@one/mymaster/1/2",
            "redis+sentinel://me:s3cret@one/mymaster?password=s3cret",
        ] {
            let said = refused(url);
            assert!(said.starts_with("store.url: "), "{url}: {said}");
            assert!(!said.contains("s3cret"), "{url}: {said}");
        }
        let said = refused("rediss+cluster://host");
        assert!(said.contains("Cluster") && said.contains("redis+sentinel://"), "{said}");
    }

    #[test]
    fn nothing_that_is_shown_holds_a_password() {
        for url in [
            "redis://me:s3cret@host",
            "rediss+sentinel://me:s3cret@one,two/mymaster?sentinel_password=s3cret",
        ] {
            let shown = format!("{:?}", Address::parse(&url.into(), None).unwrap());
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
