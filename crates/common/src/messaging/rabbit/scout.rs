//! Asks which queues have no leader.
//!
//! It uses a connection of its own: the broker closes the whole connection over which a queue without a leader is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::deadline::{CALL, CONNECT, CallError, within};
use super::leaders::{Found, Leaders, is_internal};
use super::nodes::Nodes;
use super::session::{Cut, is_channels};
use super::socket::{self, Socket};
use super::topology::counts;

/// Pause after a look: before the next one that a suspicion asks for, and while a queue is known to have no leader.
const AGAIN: Duration = Duration::from_secs(5);

/// Looks for queues without a leader.
pub(super) struct Scout {
    pub(super) nodes: Nodes,
    /// The names of all queues.
    pub(super) queues: Arc<[String]>,
    pub(super) leaders: Arc<Leaders>,
    /// Index of the node that answered last, which is asked first: a silent one before it would cost each look its timeout.
    pub(super) answering: AtomicUsize,
}

impl Scout {
    /// Looks whenever something is suspected, and again until every queue has a leader or `stopping` is cancelled.
    pub(super) async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let watching = async {
            loop {
                self.leaders.are_doubted().await;
                // The broker is away: the connections report that.
                if let Err(error) = self.look().await {
                    tracing::debug!(%error, "the queues' leaders can't be asked for yet");
                }
                sleep(AGAIN).await;
            }
        };
        stopping.run_until_cancelled(watching).await;
    }

    /// Asks each queue, and notes those that have no leader. One that does not answer keeps what was known of it, and the
    /// others are asked all the same.
    pub(super) async fn look(&self) -> Result<(), CallError> {
        let mut found = Found::default();
        let mut asking: Option<Asking> = None;
        for queue in &*self.queues {
            let open = match asking.take() {
                Some(open) => open,
                None => self.connect().await?,
            };
            match ask(&open.connection, queue).await {
                Ok(()) => asking = Some(open),
                // The broker has closed the connection: the next queue is asked over a new one.
                Err(error) if is_internal(&error) => {
                    found.without.insert(queue.clone());
                }
                Err(error) => {
                    tracing::debug!(queue, %error, "a queue's leader can't be asked for yet");
                    found.is_partial = true;
                    if self.leaders.lacks(queue) {
                        found.without.insert(queue.clone());
                    }
                }
            }
        }
        if let Some(open) = asking {
            let _ = within(CALL, open.connection.close(200, "looked".into())).await;
        }
        self.leaders.note(found);
        Ok(())
    }

    async fn connect(&self) -> Result<Asking, CallError> {
        let mut failed = CallError::Silent(CONNECT);
        for (index, node) in self.nodes.round(self.answering.load(Ordering::Relaxed)) {
            let socket = Socket::default();
            let cut = Cut(Some(socket.clone()));
            let properties = ConnectionProperties::default().with_connection_name("leaders".into());
            let connecting = socket::connect(node.clone(), properties, socket, self.nodes.tls.clone());
            match within(CONNECT, connecting).await {
                Ok(connection) => {
                    self.answering.store(index, Ordering::Relaxed);
                    return Ok(Asking { connection, _cut: cut });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// The scout's own connection; when it is dropped, its socket is cut.
struct Asking {
    connection: Connection,
    _cut: Cut,
}

/// Asks the queue something that its leader answers; an internal error says that there is none. No message is taken away.
async fn ask(connection: &Connection, queue: &str) -> Result<(), CallError> {
    let channel = within(CALL, connection.create_channel()).await?;
    match within(CALL, counts(&channel, queue)).await? {
        // Of a queue without a leader the broker says that it has no message and no consumer.
        Some(counts) if counts.is_nothing() => {}
        Some(_) | None => return Ok(()),
    }
    // A message that has come since is given back when the channel closes.
    match within(CALL, channel.basic_get(queue.into(), BasicGetOptions::default())).await {
        Ok(_) => within(CALL, channel.close(200, "looked".into())).await,
        // A refusal on the channel is an answer too.
        Err(CallError::Lapin(error)) if is_channels(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
