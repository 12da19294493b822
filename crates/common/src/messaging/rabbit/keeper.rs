//! Watches over what stands on the broker, for as long as the service lives.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::deadline::CallError;
use super::link::Link;
use super::session::Session;
use super::topology::Topology;
use super::unrouted::Unrouted;

/// Longest pause between two looks: so what is missing is declared again within 5 s.
const LOOK: Duration = Duration::from_secs(2);
/// Shortest pause between two looks, however many ask for one.
const LEAST: Duration = Duration::from_millis(200);

/// Declares again what is missing, and has what waited for it moved to where it belongs.
///
/// Every process does so for all queues: the service that consumes the missing one may be down.
pub(super) struct Keeper {
    pub(super) topology: Arc<Topology>,
    /// Not the connection that publishes: it answers nothing while the broker takes no messages.
    pub(super) link: Link,
    pub(super) unrouted: Unrouted,
    pub(super) stopping: CancellationToken,
}

impl Keeper {
    pub(super) async fn run(self) {
        let Self {
            topology,
            link,
            mut unrouted,
            stopping,
        } = self;
        let watching = async {
            loop {
                let session = link.connected().await;
                give_up_unless(&session, topology.look(&session.connection)).await;
                tokio::time::sleep(LEAST).await;
                tokio::select! {
                    () = topology.asked() => {}
                    () = tokio::time::sleep(pause()) => {}
                }
            }
        };
        // Beside the first loop: there may be many events to move, and a missing queue must not wait for that.
        let sorting = async {
            loop {
                let session = link.connected().await;
                give_up_unless(&session, unrouted.look(&session)).await;
                tokio::time::sleep(pause()).await;
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = watching => {}
            () = sorting => {}
        }
    }
}

/// Looks on a connection for as long as it is good, and has it replaced when the look fails.
async fn give_up_unless(session: &Session, look: impl Future<Output = Result<(), CallError>>) {
    let looked = tokio::select! {
        looked = look => looked,
        () = session.broken() => Ok(()),
    };
    if let Err(error) = looked {
        session.give_up(&format!("the topology can't be looked at: {error}"));
    }
}

/// A pause of random length, so that processes that started together do not look together.
fn pause() -> Duration {
    LOOK.mul_f64(rand::random_range(0.75..1.0))
}
