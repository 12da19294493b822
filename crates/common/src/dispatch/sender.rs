//! What a service does with its deliveries.

use std::future::Future;

use sea_orm::DbErr;

use super::progress::Progress;
use super::{Delivery, Outcome};
use crate::messaging::{Change, OutboxError};

/// Sends deliveries, and tells of their outcomes.
pub trait Sender: Send + Sync + 'static {
    /// Every answer of [`Self::effect`].
    const EFFECTS: &'static [&'static str] = &[];

    /// What somebody who takes this delivery has then, of a closed list: a type of `waypost_critical_time_seconds`. None:
    /// nobody waits for it.
    fn effect(&self, _delivery: &Delivery) -> Option<&'static str> {
        None
    }

    /// Tries a delivery once. May be called again for the same delivery: after a retry, and after a crash.
    ///
    /// It says in `progress` that it begins just before the other side learns what it could act on: the text of a mail,
    /// the request; and what was exchanged with whom, where several may deliver.
    ///
    /// # Cancel safety
    /// Before that it is dropped at any time, when the process stops or the lease is lost, and costs no attempt.
    /// After it, only when its time or the process ends; that the other side has it is then assumed.
    fn send(&self, delivery: &Delivery, progress: &Progress) -> impl Future<Output = Outcome> + Send;

    /// Adds to the change that records an outcome, a retry included: the event that tells of it.
    ///
    /// The outcome is how the delivery stands: a retry that came too late is `Failed` or `Expired` here.
    fn record(
        &self,
        change: &mut Change,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> impl Future<Output = Result<(), RecordError>> + Send;
}

/// Why an outcome could not be recorded. It is tried again: what was sent was sent.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// The event that tells of it can't travel.
    #[error("the event that tells of it can't travel")]
    Event(#[from] OutboxError),
}
