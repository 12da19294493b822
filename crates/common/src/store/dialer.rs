//! The way to the node that takes writes now: the one that there is, or the sentinels' master.

use std::{sync::Arc, time::Duration};

use deadpool_redis::{
    Connection, Manager, Pool, PoolConfig, PoolError, Runtime, Timeouts as PoolTimeouts,
    redis::{
        AsyncConnectionConfig, Client, FromRedisValue, RedisError, RedisResult, Value, aio::MultiplexedConnection, cmd,
    },
};
use tokio::time::timeout;

use super::{OpenError, Timeouts, address::Address, error::CLUSTER_CURE, sentinel::Sentinels};
use crate::tls;

/// Why no connection to a node that takes writes could be made, or one is no longer to be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum DialError {
    #[error("no sentinel knows the master that store.url names")]
    NoMaster(#[source] Option<RedisError>),
    #[error("no connection could be made")]
    Pool(#[source] PoolError),
    #[error("the node refused or broke off")]
    Node(#[source] RedisError),
    #[error("the node did not answer in time")]
    TimedOut,
    #[error("the node at store.url is a replica, which takes no writes: name its master, or the sentinels")]
    Replica,
    #[error("the node at store.url is one of a Redis Cluster, which is not supported: {CLUSTER_CURE}")]
    Cluster,
}

impl DialError {
    /// What is to be done about it, where that is known.
    pub(super) fn cure(&self) -> Option<&'static str> {
        match self {
            Self::Cluster => Some(CLUSTER_CURE),
            other => tls::cure(other),
        }
    }
}

/// Finds the master and dials it; cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Dialer(Arc<Inner>);

struct Inner {
    way: Way,
    timeouts: Timeouts,
    connection: AsyncConnectionConfig,
}

enum Way {
    Node(Client, Pool),
    /// No pool: deadpool's for sentinels holds a lock while it dials and knows no deadline, so that one
    /// sentinel that hangs would be asked for seconds, again and again.
    Sentinels(Sentinels),
}

/// A connection, and the node that it leads to.
pub(super) struct Dialled {
    pub(super) connection: MultiplexedConnection,
    pub(super) node: Arc<str>,
}

impl Dialer {
    /// `None` when the address is no server's: the store is in memory.
    pub(super) fn new(address: Address, timeouts: Timeouts) -> Result<Option<Self>, OpenError> {
        let connection = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.response));
        let way = match address {
            Address::Memory => return Ok(None),
            Address::Node(client) => {
                let pool = pool(&client, connection.clone(), timeouts)?;
                Way::Node(client, pool)
            }
            Address::Sentinels(sentinels) => Way::Sentinels(sentinels),
        };
        Ok(Some(Self(Arc::new(Inner {
            way,
            timeouts,
            connection,
        }))))
    }

    /// A client of the node that is the master now, as the sentinels and the node itself say.
    pub(in crate::store) async fn client(&self) -> Result<Client, DialError> {
        match &self.0.way {
            Way::Node(client, _) => Ok(client.clone()),
            Way::Sentinels(sentinels) => self.master(sentinels).await,
        }
    }

    /// A connection to that node, which answers and takes writes.
    pub(super) async fn connection(&self) -> Result<Dialled, DialError> {
        let client = self.client().await?;
        let mut connection = match &self.0.way {
            Way::Node(_, pool) => Connection::take(pool.get().await.map_err(DialError::Pool)?),
            Way::Sentinels(_) => self.dial(&client).await?,
        };
        self.check(&mut connection).await?;
        self.refuse_a_cluster(&mut connection).await?;
        let node = client.get_connection_info().addr().to_string().into();
        Ok(Dialled { connection, node })
    }

    /// Asks whether the node at the other end still answers, and has not become a replica.
    pub(super) async fn check(&self, connection: &mut MultiplexedConnection) -> Result<(), DialError> {
        // A server that is still loading its data accepts connections, and refuses this.
        let ping = cmd("PING");
        self.bounded(ping.query_async::<()>(connection)).await?;
        let role = cmd("ROLE");
        match self.bounded(role.query_async::<Vec<Value>>(connection)).await {
            Ok(answer) => match answer.into_iter().next().map(String::from_redis_value) {
                Some(Ok(role)) if role != "master" => Err(DialError::Replica),
                _ => Ok(()),
            },
            // Where a user or a proxy may not ask, the role stays unknown; a write to a replica fails by itself.
            Err(DialError::Node(error)) if error.code().is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the sentinels name another master than this node, and that one agrees.
    ///
    /// A node that was replaced while it was cut off from them goes on calling itself the master.
    pub(super) async fn is_deposed(&self, node: &str) -> bool {
        let Way::Sentinels(sentinels) = &self.0.way else {
            return false;
        };
        let said = sentinels.ask(self.0.timeouts.connect).await;
        match said.instead_of(node) {
            Some((host, port)) => self.verified(sentinels, host, *port).await.is_ok(),
            None => false,
        }
    }

    /// The first of the nodes that the sentinels name which says of itself that it is the master.
    async fn master(&self, sentinels: &Sentinels) -> Result<Client, DialError> {
        let said = sentinels.ask(self.0.timeouts.connect).await;
        let mut trouble = DialError::NoMaster(said.trouble);
        for ((host, port), _) in said.named {
            match self.verified(sentinels, &host, port).await {
                Ok(client) => return Ok(client),
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }

    async fn verified(&self, sentinels: &Sentinels, host: &str, port: u16) -> Result<Client, DialError> {
        let client = sentinels.client_at(host, port).map_err(DialError::Node)?;
        let mut connection = self.dial(&client).await?;
        self.check(&mut connection).await?;
        Ok(client)
    }

    async fn dial(&self, client: &Client) -> Result<MultiplexedConnection, DialError> {
        let dialled = client.get_multiplexed_async_connection_with_config(&self.0.connection);
        within(creation(self.0.timeouts), dialled).await
    }

    /// Refuses a node of a cluster, because each of them would refuse most keys.
    async fn refuse_a_cluster(&self, connection: &mut MultiplexedConnection) -> Result<(), DialError> {
        let mut info = cmd("INFO");
        info.arg("cluster");
        match self.bounded(info.query_async::<String>(connection)).await {
            Ok(text) if text.contains("cluster_enabled:1") => Err(DialError::Cluster),
            Ok(_) => Ok(()),
            Err(DialError::Node(error)) if error.code().is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn bounded<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, DialError> {
        within(self.0.timeouts.response, answer).await
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> Result<T, DialError> {
    match timeout(limit, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.is_timeout() => Err(DialError::TimedOut),
        Ok(Err(error)) => Err(DialError::Node(error)),
        Err(_) => Err(DialError::TimedOut),
    }
}

/// Dialling and greeting; the margin lets the client's own limit come first.
fn creation(timeouts: Timeouts) -> Duration {
    timeouts.connect + Duration::from_millis(50)
}

fn pool(client: &Client, connection: AsyncConnectionConfig, timeouts: Timeouts) -> Result<Pool, OpenError> {
    let node = client.get_connection_info().clone();
    let manager = Manager::new_with_config(node, connection).map_err(OpenError::Address)?;
    let config = PoolConfig {
        timeouts: PoolTimeouts {
            wait: Some(timeouts.connect),
            create: Some(creation(timeouts)),
            recycle: Some(timeouts.connect),
        },
        ..PoolConfig::default()
    };
    Pool::builder(manager)
        .config(config)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(OpenError::Pool)
}
