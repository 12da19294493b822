//! The nodes of the broker: where they are, and in which order this process tries them.

use futures_util::future::join_all;
use lapin::tcp::RustlsConnector;
use lapin::uri::AMQPUri;
use rand::seq::SliceRandom;
use url::{Host, Url};

use super::deadline::CONNECT;
use super::knock::knock;
use crate::messaging::error::BrokerError;

/// In seconds. For the broker's sake: after two missed heartbeats it hands out anew what the connection held. Our side
/// finds a silent connection sooner, but can't tell a broker that it does not reach, which goes on handing out over it.
const HEARTBEAT: u16 = 3;

/// The broker's nodes, and how TLS is spoken to them.
#[derive(Clone)]
pub(super) struct Nodes {
    pub(super) addresses: Vec<AMQPUri>,
    pub(super) tls: RustlsConnector,
}

impl Nodes {
    /// Reads the nodes' URLs, with commas between them.
    ///
    /// The order is random. So processes begin at different nodes, and when a node dies, those that were connected to it
    /// spread over the others.
    pub(super) fn read(urls: &str, tls: RustlsConnector) -> Result<Self, BrokerError> {
        let mut addresses = read(urls)?;
        addresses.shuffle(&mut rand::rng());
        Ok(Self { addresses, tls })
    }

    /// All nodes, each with its index, in a round that begins at index `begin`.
    pub(super) fn round(&self, begin: usize) -> impl Iterator<Item = (usize, &AMQPUri)> {
        let nodes = self.addresses.iter().enumerate();
        nodes.cycle().skip(begin).take(self.addresses.len())
    }

    /// The nodes that do not answer, by host and port. All are asked at once, each for as long as a connection may take.
    /// Over TLS an open port counts as an answer.
    pub(super) async fn away(&self) -> Vec<String> {
        let asked = self.addresses.iter().map(async |node| (place(node), knock(node).await));
        let answers = join_all(asked).await.into_iter();
        let mut away: Vec<_> = answers
            .filter(|(_, answer)| answer.is_err())
            .map(|(place, _)| place)
            .collect();
        away.sort_unstable();
        away
    }
}

/// Host and port, all of a node's address that may be shown.
pub(super) fn place(node: &AMQPUri) -> String {
    let (host, port) = (&node.authority.host, node.authority.port);
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn read(urls: &str) -> Result<Vec<AMQPUri>, BrokerError> {
    let node = |address: &str| {
        let mut uri: AMQPUri = address.trim().parse().map_err(|_| BrokerError::Url)?;
        // lapin's own reading knows host names only: it makes `localhost` of an IPv6 address.
        if let Ok(Some(Host::Ipv6(host))) = Url::parse(address.trim()).map(|url| url.host().map(|host| host.to_owned()))
        {
            uri.authority.host = host.to_string();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let connect = u64::try_from(CONNECT.as_millis()).unwrap_or(u64::MAX);
        uri.query.connection_timeout.get_or_insert(connect);
        Ok(uri)
    };
    urls.split(',').map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;

    #[test]
    fn several_nodes_are_read_and_get_a_heartbeat() {
        let nodes = read("amqp://a:b@one:5672/%2f, amqps://two,amqp://192.0.2.1,amqp://[2001:db8::1]:5674").unwrap();
        let places: Vec<_> = nodes.iter().map(place).collect();
        assert_eq!(places, ["one:5672", "two:5671", "192.0.2.1:5672", "[2001:db8::1]:5674"]);
        assert!(nodes.iter().all(|node| node.query.heartbeat == Some(HEARTBEAT)));
    }

    #[test]
    fn a_round_begins_where_it_is_told_and_leaves_nobody_out() {
        let nodes = Nodes {
            addresses: read("amqp://zero,amqp://one,amqp://two").unwrap(),
            tls: tls::client(None).unwrap().into(),
        };
        for (begin, order) in [(0, [0, 1, 2]), (2, [2, 0, 1])] {
            assert_eq!(nodes.round(begin).map(|(index, _)| index).collect::<Vec<_>>(), order);
        }
    }

    #[test]
    fn an_address_of_something_else_is_refused_and_not_shown() {
        for address in [
            "http://user:secret@host",
            "amqp:user:secret",
            "",
            "amqp://one,two",
            "amqp://user:12,secret@one",
            "amqp://user:12,sec/secret@one/%2f",
            "amqp://user:12,sec#secret@one/%2f",
            "amqp://one,,amqp://two",
        ] {
            let error = read(address).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
