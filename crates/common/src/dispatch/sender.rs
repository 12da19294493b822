//! What a service does with its deliveries.

use std::future::Future;

use sea_orm::DbErr;

use super::progress::Progress;
use super::{Delivery, Outcome};
use crate::messaging::{Change, OutboxError};

/// Sends deliveries, and tells of their outcomes.
pub trait Sender: Send + Sync + 'static {
    /// Everything that [`Self::effect`] may answer; their metrics are shown from the start.
    const EFFECTS: &'static [&'static str] = &[];

    /// The effect that this delivery has for its recipient, one of [`Self::EFFECTS`]: the time from its cause until it is
    /// taken is measured under this type in `waypost_critical_time_seconds`. `None`: it is not measured.
    fn effect(&self, _delivery: &Delivery) -> Option<&'static str> {
        None
    }

    /// Tries a delivery once. May be called again for the same delivery: after a retry, and after a crash.
    ///
    /// It calls [`Progress::begin`] just before the other side learns what it could act on: the text of a mail, the request.
    /// Where several providers may deliver, it also notes in `progress` what was exchanged with each.
    ///
    /// # Cancel safety
    /// Before [`Progress::begin`] it is dropped when the process stops or the lease is lost, which costs no attempt, or when
    /// its time is over. Afterwards, only when its time or the process ends: the other side may have the delivery then.
    fn send(&self, delivery: &Delivery, progress: &Progress) -> impl Future<Output = Outcome> + Send;

    /// Adds to the change that records an outcome, also of a retry: for example the event that tells of it. May be called
    /// again for the same outcome when the change was not committed.
    ///
    /// The outcome is how the delivery stands: a retry that would come too late is `Failed` or `Expired` here.
    fn record(
        &self,
        change: &mut Change,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> impl Future<Output = Result<(), RecordError>> + Send;
}

/// Why an outcome could not be recorded. That is tried again until it succeeds: what was sent can't be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// The event that tells of it can't travel.
    #[error("the event that tells of it can't travel")]
    Event(#[from] OutboxError),
}
