//! How long each kind of call on the broker may take.

use std::future::Future;
use std::time::Duration;

/// One call on the broker: longer than its longest pause under load, shorter than anybody's patience.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// TCP, TLS and the handshake.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// The whole topology; a first declaration makes a Raft group for each queue.
pub(super) const DECLARE: Duration = Duration::from_secs(30);
/// A publish and its confirmation.
pub(super) const CONFIRM: Duration = Duration::from_secs(10);

/// Why a call on the broker failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// lapin says so.
    #[error("{0}")]
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
