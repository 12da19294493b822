//! The time that work on the database may take, and what it fails with when that is over.
//!
//! The server ends a statement by itself after two seconds; one that can't be reached ends nothing, and
//! the client would wait until TCP gives up. So whatever is awaited on the database stands in here: a statement by
//! itself, through its [`Connection`](super::Connection) or [`Transaction`](super::Transaction).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};
use tokio::time::{Instant, timeout_at};

use super::suspects::Unfinished;

/// Longest that one step of a request's work on the database may take: somebody waits.
pub(crate) const DEADLINE: Duration = Duration::from_millis(2500);
/// The same on SQLite for what nobody waits for, a message or an outcome: all who write stand in one queue.
pub(super) const SQLITE_PATIENT_DEADLINE: Duration = Duration::from_secs(10);

/// Gives work on the database its deadline of 2.5 s, also when its server hangs or its host is gone.
///
/// # Errors
/// What the work fails with, or a [`DbErr::Conn`], which is transient, when it takes too long.
///
/// # Cancel safety
/// A transaction in the work is rolled back when the work is dropped.
pub async fn within_deadline<T, E: From<DbErr>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    within(DEADLINE, work).await
}

/// Gives work on the database `limit`; as [`within_deadline`] otherwise.
pub(crate) async fn within<T, E: From<DbErr>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    until(Instant::now() + limit, work).await
}

/// Gives work on the database until `deadline`; as [`within_deadline`] otherwise.
///
/// Work whose time is over is not begun: a COMMIT that is sent all the same would succeed and be told as failed.
pub(super) async fn until<T, E: From<DbErr>>(
    deadline: Instant,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    if Instant::now() >= deadline {
        return Err(no_answer().into());
    }
    let mut work = pin!(work);
    // After the work, so that it is dropped before it: the connection goes back to a pool that knows.
    let unfinished = Unfinished::begin();
    match timeout_at(deadline, work.as_mut()).await {
        Ok(outcome) => {
            unfinished.done();
            outcome
        }
        Err(_) => Err(no_answer().into()),
    }
}

/// "The database did not answer in time": transient, and spelled nowhere else.
fn no_answer() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the database did not answer in time".to_owned()))
}

/// Too many statements run already: transient too.
pub(super) fn no_place() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(
        "the database's bulkhead was full for too long".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn work_whose_time_is_over_is_not_begun() {
        let begun = Cell::new(false);
        let work = async {
            begun.set(true);
            Ok::<_, DbErr>(())
        };
        let outcome = until(Instant::now(), work).await;
        assert!(crate::database::is_transient(&outcome.unwrap_err()));
        assert!(!begun.get());
    }
}
