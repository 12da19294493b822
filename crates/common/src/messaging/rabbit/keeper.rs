//! Watches over what stands on the broker, for as long as the service lives.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::deadline::CallError;
use super::link::Link;
use super::session::Session;
use super::topology::Topology;
use super::unrouted::Unrouted;

/// How often somebody looks: what is missing is there again within 5 s.
const LOOK: Duration = Duration::from_secs(2);
/// Least wait between two looks, however many ask.
const LEAST: Duration = Duration::from_millis(200);

/// Declares again what is missing, and has what waited for it moved to where it belongs.
///
/// Every process does, for all queues: the worker of the one that is missing may be down.
pub(super) struct Keeper {
    pub(super) topology: Arc<Topology>,
    /// Not the connection that publishes: it answers nothing while the broker takes no messages.
    pub(super) link: Link,
    pub(super) unrouted: Unrouted,
    pub(super) stopping: CancellationToken,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        let stopping = self.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&mut self) {
        let link = self.link.clone();
        loop {
            let session = link.connected().await;
            let looked = tokio::select! {
                looked = self.look(&session) => looked,
                () = session.broken() => Ok(()),
            };
            if let Err(error) = looked {
                session.give_up(&format!("the topology can't be looked at: {error}"));
            }
            tokio::time::sleep(LEAST).await;
            tokio::select! {
                () = self.topology.asked() => {}
                // Many processes that started together do not look together.
                () = tokio::time::sleep(LOOK.mul_f64(rand::random_range(0.75..1.0))) => {}
            }
        }
    }

    async fn look(&mut self, session: &Session) -> Result<(), CallError> {
        self.topology.look(&session.connection).await?;
        self.unrouted.look(session).await
    }
}
