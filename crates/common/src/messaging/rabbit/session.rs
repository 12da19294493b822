//! A connection that lives, with the topology declared.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicQosOptions, ConfirmSelectOptions};
use lapin::protocol::AMQPErrorKind;
use lapin::tcp::RustlsConnector;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::deadline::{CALL, CONNECT, CallError, LAST_CONFIRM, within};
use super::leaders::Leaders;
use super::nodes::place;
use super::socket::{self, Socket};
use super::topology::Topology;

/// How often the broker is asked for a sign of life: a connection may look well and be dead. What the broker sends of its
/// own accord does not tell soon enough: heartbeats are too rare, and confirmations come only after publishes.
const PULSE: Duration = Duration::from_secs(1);

/// Channels that carry one publish at a time.
const SINGLE: usize = 8;

/// A connection that lives, with the topology declared. Replaced as a whole, never repaired.
pub(super) struct Session {
    purpose: &'static str,
    /// Host and port of the node that it leads to.
    pub(super) node: String,
    pub(super) connection: Connection,
    /// Carries many publishes at a time; in confirm mode.
    pub(super) channel: Channel,
    /// Each carries one publish at a time; in confirm mode.
    single: Vec<Mutex<Channel>>,
    next_single: AtomicUsize,
    probe: Channel,
    topology: Arc<Topology>,
    socket: Socket,
    broken: CancellationToken,
    stopping: CancellationToken,
}

impl Session {
    /// Connects and declares the topology. When it fails or is dropped, it cuts the connection and leaves nothing behind.
    pub(super) async fn open(
        purpose: &'static str,
        (node, tls, name): (AMQPUri, RustlsConnector, &str),
        topology: Arc<Topology>,
        stopping: CancellationToken,
    ) -> Result<Self, CallError> {
        let (socket, at) = (Socket::default(), place(&node));
        // Cuts the socket unless a session comes of it.
        let cut_if_dropped = Cut(Some(socket.clone()));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = within(CONNECT, socket::connect(node, properties, socket.clone(), tls)).await?;
        let probe = within(CALL, connection.create_channel()).await?;
        let channel = within(CALL, confirming(&connection)).await?;
        let mut single = Vec::with_capacity(SINGLE);
        while single.len() < SINGLE {
            single.push(Mutex::new(within(CALL, confirming(&connection)).await?));
        }
        tokio::select! {
            declared = topology.declare(&connection) => declared?,
            silent = pulse(&connection, &probe) => return Err(silent),
        }
        cut_if_dropped.not();
        Ok(Self {
            purpose,
            node: at,
            connection,
            channel,
            single,
            next_single: AtomicUsize::new(0),
            probe,
            topology,
            socket,
            broken: CancellationToken::new(),
            stopping,
        })
    }

    /// Closes this connection at once, so that everybody who waits on it fails, and has it replaced by a new one.
    pub(super) fn give_up(&self, why: &str) {
        if !self.broken.is_cancelled() {
            tracing::warn!(purpose = self.purpose, why, "a connection to the broker is given up");
            self.broken.cancel();
            self.socket.cut();
        }
    }

    /// Reports that something is missing on the broker: the keeper looks at the topology at once. The connection stays.
    pub(super) fn misses(&self, what: &str) {
        tracing::warn!(
            purpose = self.purpose,
            what,
            "an exchange or a queue is missing on the broker; the topology is looked at"
        );
        self.topology.look_at_once();
    }

    /// What is known of the queues' leaders.
    pub(super) fn leaders(&self) -> &Leaders {
        self.topology.leaders()
    }

    /// A channel that is the caller's alone until the guard is dropped. Waits while another publish has it.
    pub(super) async fn single(&self) -> MutexGuard<'_, Channel> {
        let next = self.next_single.fetch_add(1, Ordering::Relaxed);
        self.single[next % self.single.len()].lock().await
    }

    /// Resolves when the connection is of no use any more.
    pub(super) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Resolves 2 s after the service stops: publishes wait no longer than that for their confirmation then.
    pub(super) async fn ended(&self) {
        self.stopping.cancelled().await;
        sleep(LAST_CONFIRM).await;
    }

    /// Whether the broker takes no publishes over this connection, since it is short of memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.broken.is_cancelled() && self.connection.status().connected()
    }

    /// Watches over the connection until it is of no use, and answers with the reason; `None`: the service stops.
    pub(super) async fn watch(&self) -> Option<String> {
        let mut events = self.connection.events_listener();
        let mut pulse = std::pin::pin!(pulse(&self.connection, &self.probe));
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return None,
                () = self.broken() => return Some("a call on it failed".to_owned()),
                error = &mut pulse => return Some(format!("it does not answer as it should: {error}")),
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(why)) => tracing::error!(why, "the broker takes no messages"),
                    Some(Event::ConnectionUnblocked) => tracing::info!("the broker takes messages again"),
                    // An error that closes one channel only is handled by those who use the channel.
                    Some(Event::Error(error)) if is_channels(&error) => {}
                    Some(Event::Error(error)) => return Some(error.to_string()),
                    Some(_) => {}
                    None => return Some("it ended".to_owned()),
                },
            }
        }
    }
}

pub(super) fn is_channels(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if matches!(error.kind(), AMQPErrorKind::Soft(_)))
}

async fn confirming(connection: &Connection) -> Result<Channel, lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Asks for a sign of life again and again; returns when none comes. The call (`basic.qos`) needs no right and no queue.
async fn pulse(connection: &Connection, probe: &Channel) -> CallError {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pulse.tick().await;
        // A blocked connection answers nothing; its heartbeats show that it lives.
        let is_blocked = || connection.status().connected() && connection.status().blocked();
        if is_blocked() {
            continue;
        }
        if let Err(error) = within(CALL, probe.basic_qos(1, BasicQosOptions::default())).await {
            // The alarm may have come while the question was under way.
            if !is_blocked() {
                return error;
            }
        }
    }
}

/// Cuts the socket when it is dropped, for a connection that came to nothing.
pub(super) struct Cut(pub(super) Option<Socket>);

impl Cut {
    fn not(mut self) {
        self.0 = None;
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.cut();
        }
    }
}
