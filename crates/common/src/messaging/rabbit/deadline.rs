//! How long each kind of call on the broker may take.

use std::future::Future;
use std::time::Duration;

/// One call that the broker answers from memory: a connection on which it is not answered in this time is dead.
/// Other work may wait 5 s for the connection: enough to notice, to close it and to make a new one.
pub(super) const CALL: Duration = Duration::from_millis(2_500);
/// TCP, TLS and the handshake.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// The declaration of the whole topology: the first one makes a Raft group for each queue. The pulse of the connection
/// (`session.rs`) finds sooner that nobody answers.
pub(super) const DECLARE: Duration = Duration::from_secs(30);
/// A publish and its confirmation, which waits for disks; here too the pulse finds a dead connection sooner.
pub(super) const CONFIRM: Duration = Duration::from_secs(10);
/// The same once the service stops: the pulse is no longer watched then.
pub(super) const LAST_CONFIRM: Duration = Duration::from_secs(2);

/// Why a call on the broker failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// lapin, the AMQP client, failed, or the broker refused the call.
    #[error(transparent)]
    Lapin(#[from] lapin::Error),
    /// No answer came in this time.
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
