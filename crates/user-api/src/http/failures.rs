//! Failures that are nobody's input: the database is away, too slow, or refuses.
//!
//! They are logged here, once, and answered without their cause.

use std::{error::Error, time::Duration};

use common::{
    database::is_transient,
    http::{Problem, kinds},
    process::chain,
};
use sea_orm::DbErr;

/// When a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why an operation could not be done, through no fault of the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the database failed")]
    Database(#[from] DbErr),
    #[error("what this needs is away or busy")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    #[error("a defect")]
    Defect(#[source] Box<dyn Error + Send + Sync>),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let passes = match &failure {
            Failure::Database(error) => is_transient(error),
            Failure::Unavailable(_) => true,
            Failure::Defect(_) => false,
        };
        let error = chain(&failure);
        if passes {
            tracing::warn!(error, "a request could not be served for now");
            Self::unavailable(RETRY_AFTER)
        } else {
            tracing::error!(error, "a request failed");
            Self::new(&kinds::INTERNAL)
        }
    }
}
