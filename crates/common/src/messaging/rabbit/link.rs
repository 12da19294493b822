//! A supervised connection: kept for as long as the service lives, replaced as a whole.

use std::sync::Arc;
use std::time::Duration;

use lapin::uri::AMQPUri;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deadline::CallError;
use super::knock::knock;
use super::nodes::{Nodes, place};
use super::session::Session;
use super::topology::Topology;
use super::tries::Tries;
use crate::process::{Finding, State, Tasks};
use crate::tls;

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

impl Link {
    /// Keeps a connection for as long as the service lives, in a task of its own. When the service stops, the last one stays
    /// open until its users have finished.
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
            node: self.session().map(|session| session.node.clone()),
        }
    }

    /// Whether the broker takes no messages over this connection, and has said so.
    pub(super) fn is_blocked(&self) -> bool {
        self.state() == State::Degraded
    }

    /// Waits for a connection that works; never returns when the service stops before there is one.
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
        let nodes = &self.nodes.addresses;
        let (mut tries, mut reported) = (Tries::over(nodes.len()), None);
        let mut was_silent = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate().cycle() {
            let opened = tokio::select! {
                () = self.stopping.cancelled() => return,
                opened = self.open(node.clone(), was_silent[index]) => opened,
            };
            let pause = match opened {
                Ok(session) => {
                    (reported, was_silent[index]) = (None, false);
                    let began = Instant::now();
                    if !self.keep(session).await {
                        return;
                    }
                    tries.after_life(began.elapsed())
                }
                Err(error) => {
                    was_silent[index] = matches!(error, CallError::Silent(_));
                    let cure = tls::cure(&error);
                    self.note(cure, tries.begin_anew());
                    if reported.is_none_or(|at: Instant| at.elapsed() >= REPORT) {
                        reported = Some(Instant::now());
                        let (purpose, address) = (self.purpose, place(node));
                        tracing::warn!(purpose, address, %error, cure, "no connection to the broker; trying on");
                    }
                    tries.after_failure()
                }
            };
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))) => {}
            }
        }
    }

    /// Lets a connection be used until it is of no use any more. `false`: the service stops, and there is to be no other.
    async fn keep(&self, session: Session) -> bool {
        let (purpose, address) = (self.purpose, &session.node);
        tracing::info!(purpose, address, "connected to the broker");
        *self.cure.write() = None;
        let session = Arc::new(session);
        self.sender.send_replace(Some(session.clone()));
        let Some(why) = session.watch().await else { return false };
        session.give_up(&why);
        self.sender.send_replace(None);
        true
    }

    /// Keeps the cure that was found at one node while the others are tried in the same round.
    fn note(&self, cure: Option<&'static str>, begins_anew: bool) {
        let mut known = self.cure.write();
        if begins_anew || known.is_none() {
            *known = cure;
        }
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
