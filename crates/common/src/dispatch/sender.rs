//! What a service does with its deliveries.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sea_orm::DbErr;

use super::{Delivery, Outcome};
use crate::messaging::{Change, OutboxError};

/// Sends deliveries, and tells of their outcomes.
pub trait Sender: Send + Sync + 'static {
    /// Tries a delivery once. May be called again for the same delivery: after a retry, and after a crash.
    ///
    /// It marks `begun` just before the other side learns what it could act on: the text of a mail, the request.
    ///
    /// # Cancel safety
    /// Before the mark it is dropped at any time, when the process stops or the lease is lost, and costs no attempt.
    /// After it, only when its time or the process ends; that the other side has it is then assumed.
    fn send(&self, delivery: &Delivery, begun: &Begun) -> impl Future<Output = Outcome> + Send;

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

/// Whether a send has come to where the other side may have it, and when.
#[derive(Debug, Default)]
pub struct Begun(OnceLock<Instant>);

impl Begun {
    /// Says that from here on the other side may have it. There is no way back.
    pub fn mark(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// Whether that was said.
    pub fn is_marked(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether that was said so long ago.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.0.get().is_some_and(|at| at.elapsed() > age)
    }
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
