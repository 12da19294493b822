//! Redis Sentinel: who knows which node is the master now.
//!
//! All sentinels are asked at once, each with a deadline of its own, so that one that is gone or hangs
//! costs 50 ms at most once another has named the master.

use std::{cmp::Reverse, time::Duration};

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult, cmd,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::{
    OpenError,
    tls::{Roots, client, secure},
};

const PORT: u16 = 26379;
/// How long the others may still take when one sentinel has answered.
const LATECOMERS: Duration = Duration::from_millis(50);

/// The sentinels, and how their master is spoken to.
#[derive(Debug)]
pub(super) struct Sentinels {
    asked: Vec<Client>,
    master: String,
    /// How the master is dialled: its user, password, database and TLS. The host in it is a placeholder.
    node: ConnectionInfo,
    roots: Roots,
}

/// What the sentinels said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Host and port of each node that was named, by how many; the most named first.
    pub(super) named: Vec<((String, u16), usize)>,
    /// Why the last one that gave no answer gave none.
    pub(super) trouble: Option<RedisError>,
}

impl Sentinels {
    /// Takes apart what follows the scheme: `[user:password@]host:port,host:port/master[/database]`.
    ///
    /// User and password are the nodes'; the sentinels' own come as `?sentinel_user=..&sentinel_password=..`.
    pub(super) fn parse(scheme: &str, rest: &str, roots: Roots) -> Result<Self, OpenError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').ok_or(OpenError::Sentinel("no master's name"))?;
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if credentials.contains('@') {
            return Err(OpenError::Sentinel(
                "user and password stand once, in front of all sentinels",
            ));
        }
        let (master, database) = path.split_once('/').unwrap_or((path, "0"));
        if master.is_empty() {
            return Err(OpenError::Sentinel("no master's name"));
        }
        if database.parse::<u16>().is_err() {
            return Err(OpenError::Sentinel("the database is no number"));
        }
        let own = own_credentials(query)?;
        let asked = hosts
            .split(',')
            .map(|host| sentinel(scheme, host, &own, &roots))
            .collect::<Result<_, _>>()?;
        let node = format!("{scheme}://{credentials}@localhost/{database}")
            .into_connection_info()
            .map_err(OpenError::Address)?;
        secure(node.addr())?;
        Ok(Self {
            asked,
            master: master.to_owned(),
            node,
            roots,
        })
    }

    /// A client of the node that stands there, with the master's user, password and database.
    pub(super) fn client_at(&self, host: &str, port: u16) -> RedisResult<Client> {
        let address = at(self.node.addr(), host.to_owned(), port);
        client(self.node.clone().set_addr(address), &self.roots)
    }

    /// Asks all sentinels, for as long as `within`; once one has named a node, for [`LATECOMERS`] more at most.
    pub(super) async fn ask(&self, within: Duration) -> Said {
        let answers = self
            .asked
            .iter()
            .map(|sentinel| ask_one(sentinel, &self.master, within));
        let mut answers: FuturesUnordered<_> = answers.collect();
        let mut said = Said::default();
        let mut end = Instant::now() + within;
        while let Ok(Some(answer)) = timeout_at(end, answers.next()).await {
            match answer {
                Ok(Some(node)) => {
                    end = end.min(Instant::now() + LATECOMERS);
                    said.count(node);
                }
                Ok(None) => {}
                Err(error) => said.trouble = Some(error),
            }
        }
        said.named.sort_by_key(|(_, times)| Reverse(*times));
        said
    }

    #[cfg(test)]
    pub(super) fn addresses(&self) -> Vec<String> {
        let addresses = self.asked.iter().map(|client| client.get_connection_info().addr());
        addresses.map(ToString::to_string).collect()
    }
}

impl Said {
    /// The node that is named more often than this one.
    pub(super) fn instead_of(&self, node: &str) -> Option<&(String, u16)> {
        let named = |named: &(String, u16)| format!("{}:{}", named.0, named.1) == node;
        let times = self
            .named
            .iter()
            .find(|(other, _)| named(other))
            .map_or(0, |(_, times)| *times);
        self.named
            .first()
            .filter(|(_, most)| *most > times)
            .map(|(other, _)| other)
    }

    fn count(&mut self, node: (String, u16)) {
        match self.named.iter_mut().find(|(named, _)| *named == node) {
            Some((_, times)) => *times += 1,
            None => self.named.push((node, 1)),
        }
    }
}

async fn ask_one(sentinel: &Client, master: &str, within: Duration) -> RedisResult<Option<(String, u16)>> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(within))
        .set_response_timeout(Some(within));
    let asked = async {
        let connection = sentinel.get_multiplexed_async_connection_with_config(&config);
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        question.query_async(&mut connection.await?).await
    };
    let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    timeout(within, asked).await.unwrap_or_else(late)
}

fn sentinel(scheme: &str, host: &str, own: &RedisConnectionInfo, roots: &Roots) -> Result<Client, OpenError> {
    let text = format!("{scheme}://{host}");
    let url = Url::parse(&text).map_err(|_| OpenError::Sentinel("a sentinel's address is none"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(OpenError::Sentinel("a sentinel's address is more than host and port"));
    }
    let port = url.port().unwrap_or(PORT);
    let node = url.into_connection_info().map_err(OpenError::Address)?;
    let host = match node.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => return Err(OpenError::Sentinel("a sentinel's address is none")),
    };
    let address = at(node.addr(), host, port);
    let node = node.set_addr(address).set_redis_settings(own.clone());
    client(node, roots).map_err(OpenError::Address)
}

/// Another place that is spoken to in the same way.
fn at(like: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

fn own_credentials(query: &str) -> Result<RedisConnectionInfo, OpenError> {
    let mut own = RedisConnectionInfo::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        own = match name.as_ref() {
            "sentinel_user" => own.set_username(value),
            "sentinel_password" => own.set_password(value),
            _ => return Err(OpenError::Sentinel("a parameter that nobody knows")),
        };
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gives_way_to_one_that_is_named_more_often() {
        let node = |port| ("10.0.0.1".to_owned(), port);
        let said = |named: Vec<((String, u16), usize)>| Said { named, trouble: None };
        let two_to_one = said(vec![(node(2), 2), (node(1), 1)]);
        assert_eq!(two_to_one.instead_of("10.0.0.1:1"), Some(&node(2)));
        assert_eq!(two_to_one.instead_of("10.0.0.1:2"), None);
        assert_eq!(two_to_one.instead_of("10.0.0.1:3"), Some(&node(2)));
        let split = said(vec![(node(2), 1), (node(1), 1)]);
        assert_eq!(split.instead_of("10.0.0.1:1"), None);
        assert_eq!(said(Vec::new()).instead_of("10.0.0.1:1"), None);
    }
}
