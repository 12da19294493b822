//! What a service does with its deliveries.

use std::future::Future;

use sea_orm::DbErr;

use super::{Delivery, Outcome};
use crate::messaging::{Change, OutboxError};

/// Sends deliveries, and tells of their outcomes.
pub trait Sender: Send + Sync + 'static {
    /// Tries a delivery once. May be called again for the same delivery: after a retry, and after a crash.
    fn send(&self, delivery: &Delivery) -> impl Future<Output = Outcome> + Send;

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
