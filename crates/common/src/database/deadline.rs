use std::future::Future;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

/// Longest that one step of a request's work on the database may take.
const DEADLINE: Duration = Duration::from_millis(2500);

/// Gives work on the database its deadline of 2.5 s, also when its server hangs or its host is gone.
///
/// The server ends a statement by itself after two seconds; one that can't be reached ends nothing, and the
/// client would wait until TCP gives up.
///
/// # Errors
/// What the work fails with, or a [`DbErr::Conn`], which is transient, when it takes too long.
///
/// # Cancel safety
/// A transaction in the work is rolled back when the work is dropped.
pub async fn within_deadline<T, E: From<DbErr>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(DbErr::Conn(RuntimeErr::Internal("the database did not answer in time".to_owned())).into()),
    }
}
