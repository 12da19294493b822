//! Failures that are nobody's input: something is away, too slow, or broken.
//!
//! They are logged here, once, and answered without their cause.

use std::error::Error;
use std::time::Duration;

use sea_orm::DbErr;

use super::{Problem, kinds};
use crate::database::{is_transient_within, lacks_tables};
use crate::messaging::OutboxError;
use crate::process::chain;
use crate::store::cache::ReadError;

/// When a client may try again what could not be served for now.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why an operation could not be done, through no fault of the caller.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database failed: 503 when its error says that this passes, otherwise 500.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// Something that this needs is away or busy: 503.
    #[error("what this needs is away or busy")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It can't be helped by waiting: 500.
    #[error("a defect")]
    Defect(#[source] Box<dyn Error + Send + Sync>),
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        Self::Defect(error.into())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Failed(cause) if !passes(&**cause) => Self::Defect(error.into()),
            ReadError::Failed(_) | ReadError::TimedOut => Self::Unavailable(error.into()),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let passes = match &failure {
            Failure::Database(error) => passes(error),
            Failure::Unavailable(_) => true,
            Failure::Defect(_) => false,
        };
        let error = chain(&failure);
        if passes && lacks_tables(&failure) {
            tracing::error!(
                error,
                "a request could not be served: the tables are missing or older than this version; run `waypost migrate`"
            );
            Self::unavailable(RETRY_AFTER)
        } else if passes {
            tracing::warn!(error, "a request could not be served for now");
            Self::unavailable(RETRY_AFTER)
        } else {
            tracing::error!(error, "a request failed");
            Self::new(&kinds::INTERNAL)
        }
    }
}

/// Whether the same request may be served later: once the database is there, or its tables are.
fn passes(error: &(dyn Error + 'static)) -> bool {
    is_transient_within(error) || lacks_tables(error)
}
