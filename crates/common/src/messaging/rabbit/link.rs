//! A supervised connection: kept for as long as the service lives, replaced as a whole.

use std::sync::Arc;
use std::time::Duration;

use lapin::tcp::RustlsConnector;
use lapin::uri::AMQPUri;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::deadline::{CONNECT, CallError};
use super::knock::knock;
use super::session::Session;
use super::topology::Topology;
use crate::messaging::error::BrokerError;
use crate::process::{Finding, State, Tasks};
use crate::tls;

/// Seconds. For the broker, which hands out anew what a connection held when it missed two: our side finds a
/// silent one sooner, but a broker that can't hear of it goes on handing messages to it.
const HEARTBEAT: u16 = 3;
/// Waits between attempts to connect: from the first, doubling, to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(1);
/// A connection that lasted so long was a good one: the next is tried at once.
const GOOD_LIFE: Duration = Duration::from_secs(10);
/// How often a blocked connection is looked at.
const WATCH: Duration = Duration::from_secs(1);
/// The reason and the cure of a connection that the broker has blocked.
const BLOCKED: &str = "the broker takes no messages, it is short of memory or disk: `rabbitmqctl status` says which; \
    what is told meanwhile waits in the outbox";
/// A broker that stays away is reported again this often.
const REPORT: Duration = Duration::from_secs(30);

/// One supervised connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link {
    current: watch::Receiver<Option<Arc<Session>>>,
    cure: Cure,
}

/// What is to be done about a broker that can't be connected to, while that is known.
type Cure = Arc<RwLock<Option<&'static str>>>;

/// The broker's nodes, and how TLS is spoken to them.
#[derive(Clone)]
pub(super) struct Nodes {
    pub(super) addresses: Vec<AMQPUri>,
    pub(super) tls: RustlsConnector,
}

impl Link {
    /// Keeps a connection for as long as the service lives. At its end the last one stays open
    /// until its users have finished.
    pub(super) fn spawn(purpose: &'static str, nodes: Nodes, topology: Arc<Topology>, tasks: &Tasks) -> Self {
        let (sender, current) = watch::channel(None);
        let cure = Cure::default();
        let supervisor = Supervisor {
            purpose,
            name: format!("{} {purpose}", tasks.service()),
            nodes,
            topology,
            sender,
            cure: cure.clone(),
            stopping: tasks.stopping().clone(),
        };
        tasks.spawn("broker connection", supervisor.run());
        Self { current, cure }
    }

    /// The connection, when there is one that works.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.current.borrow().clone().filter(|session| session.is_usable())
    }

    pub(super) fn state(&self) -> State {
        match self.session() {
            None => State::Down,
            Some(session) if session.is_blocked() => State::Degraded,
            Some(_) => State::Up,
        }
    }

    pub(super) fn finding(&self) -> Finding {
        let state = self.state();
        let cure = match state {
            State::Down => *self.cure.read(),
            State::Degraded => Some(BLOCKED),
            State::Up => None,
        };
        Finding {
            state,
            cure: cure.map(Into::into),
        }
    }

    /// Whether the broker takes no messages over this connection, and has said so.
    pub(super) fn is_blocked(&self) -> bool {
        self.state() == State::Degraded
    }

    /// Waits for a connection that works; for ever when the service stops before there is one.
    pub(super) async fn connected(&self) -> Arc<Session> {
        let mut current = self.current.clone();
        loop {
            if let Some(session) = current
                .borrow_and_update()
                .clone()
                .filter(|session| session.is_usable())
            {
                return session;
            }
            if current.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until publishes have a chance: connected and not blocked.
    pub(super) async fn up(&self) {
        while self.connected().await.is_blocked() {
            tokio::time::sleep(WATCH).await;
        }
    }
}

/// Reads the addresses of the broker's nodes.
pub(super) fn nodes(url: &str) -> Result<Vec<AMQPUri>, BrokerError> {
    let node = |address: &str| {
        let mut uri: AMQPUri = address.trim().parse().map_err(|_| BrokerError::Url)?;
        // The client's own reading knows names alone: of an IPv6 address it makes `localhost`.
        if let Ok(Some(Host::Ipv6(host))) = Url::parse(address.trim()).map(|url| url.host().map(|host| host.to_owned()))
        {
            uri.authority.host = host.to_string();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let connect = u64::try_from(CONNECT.as_millis()).unwrap_or(u64::MAX);
        uri.query.connection_timeout.get_or_insert(connect);
        Ok(uri)
    };
    url.split(',').map(node).collect()
}

struct Supervisor {
    purpose: &'static str,
    name: String,
    nodes: Nodes,
    topology: Arc<Topology>,
    sender: watch::Sender<Option<Arc<Session>>>,
    cure: Cure,
    stopping: CancellationToken,
}

impl Supervisor {
    async fn run(self) {
        let mut wait = FIRST_WAIT;
        let mut reported: Option<Instant> = None;
        let mut was_silent = false;
        for node in self.nodes.addresses.iter().cycle() {
            let address = format!("{}:{}", node.authority.host, node.authority.port);
            match tokio::select! {
                () = self.stopping.cancelled() => return,
                opened = self.open(node.clone(), was_silent) => opened,
            } {
                Ok(session) => {
                    tracing::info!(purpose = self.purpose, address, "connected to the broker");
                    (reported, was_silent) = (None, false);
                    self.note(None);
                    let began = Instant::now();
                    let session = Arc::new(session);
                    self.sender.send_replace(Some(session.clone()));
                    let Some(why) = session.watch().await else { return };
                    session.give_up(&why);
                    self.sender.send_replace(None);
                    wait = wait_after(began.elapsed(), wait);
                }
                Err(error) => {
                    was_silent = matches!(error, CallError::Silent(_));
                    let cure = tls::cure(&error);
                    self.note(cure);
                    if reported.is_none_or(|at| at.elapsed() >= REPORT) {
                        reported = Some(Instant::now());
                        tracing::warn!(purpose = self.purpose, address, %error, cure, "no connection to the broker; trying on");
                    }
                }
            }
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))) => {}
            }
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    fn note(&self, cure: Option<&'static str>) {
        *self.cure.write() = cure;
    }

    async fn open(&self, node: AMQPUri, was_silent: bool) -> Result<Session, CallError> {
        if was_silent {
            knock(&node).await?;
        }
        let topology = self.topology.clone();
        let peer = (node, self.nodes.tls.clone(), self.name.as_str());
        Session::open(self.purpose, peer, topology, self.stopping.clone()).await
    }
}

/// The wait after a connection that lived so long. One that ends as soon as it is used, for want of
/// a right, must not be opened in a loop.
fn wait_after(life: Duration, wait: Duration) -> Duration {
    if life >= GOOD_LIFE { FIRST_WAIT } else { wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_that_lasted_lets_the_next_be_tried_at_once() {
        assert_eq!(wait_after(Duration::from_millis(30), LAST_WAIT), LAST_WAIT);
        assert_eq!(wait_after(GOOD_LIFE, LAST_WAIT), FIRST_WAIT);
    }

    #[test]
    fn several_nodes_are_read_and_get_a_heartbeat() {
        let nodes = nodes("amqp://a:b@one:5672/%2f, amqps://two,amqp://192.0.2.1,amqp://[2001:db8::1]:5674").unwrap();
        let hosts: Vec<_> = nodes.iter().map(|node| node.authority.host.as_str()).collect();
        assert_eq!(hosts, ["one", "two", "192.0.2.1", "2001:db8::1"]);
        assert!(nodes.iter().all(|node| node.query.heartbeat == Some(HEARTBEAT)));
    }

    #[test]
    fn an_address_of_something_else_is_refused_and_not_shown() {
        for address in ["http://user:secret@host", "amqp:user:secret", ""] {
            let error = nodes(address).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
