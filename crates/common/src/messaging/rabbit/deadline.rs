//! How long each kind of call on the broker may take.

use std::future::Future;
use std::time::Duration;

/// One call that the broker answers from memory: a connection that leaves it open so long is dead.
/// Noticed, closed and made anew it is within the 5 s that other work may wait for it.
pub(super) const CALL: Duration = Duration::from_millis(2_500);
/// TCP, TLS and the handshake.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// The whole topology; a first declaration makes a Raft group for each queue. The pulse of the
/// connection finds sooner that nobody answers.
pub(super) const DECLARE: Duration = Duration::from_secs(30);
/// A publish and its confirmation, which waits for disks; here too the pulse finds a dead connection sooner.
pub(super) const CONFIRM: Duration = Duration::from_secs(10);
/// The same once the service stops, when nobody feels the pulse any more.
pub(super) const LAST_CONFIRM: Duration = Duration::from_secs(2);

/// Why a call on the broker failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// lapin says so.
    #[error(transparent)]
    Lapin(#[from] lapin::Error),
    /// Nothing came back.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
}

/// Awaits a call on lapin, `limit` at most.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome.map_err(CallError::Lapin),
        Err(_) => Err(CallError::Silent(limit)),
    }
}
