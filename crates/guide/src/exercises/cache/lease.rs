//! cache-7: a lock is released by its owner alone.

use std::time::Duration;

use common::store::Store;
use tokio::time::{sleep, timeout};

use super::profiles::{SOON, store};
use crate::exercises::exercise::Verdict;

/// How long a holder may take before the lock goes to the next.
const LEASE: Duration = Duration::from_millis(50);

/// A lock in a store that ends by itself after a lease.
pub(crate) trait Lease: Send + Sync + Sized + 'static {
    /// Takes the lock unless somebody holds it.
    fn take(store: &Store, lease: Duration) -> impl Future<Output = Option<Self>> + Send;
    /// Gives it up.
    fn release(self, store: &Store) -> impl Future<Output = ()> + Send;
}

pub(crate) async fn check<L: Lease>() -> Verdict {
    let store = store()?;
    let Some(first) = L::take(&store, LEASE).await else {
        return Err("Nobody holds the lock, and it can't be taken.".into());
    };
    if L::take(&store, LEASE).await.is_some() {
        return Err("It was taken twice: take it only where the key is absent.".into());
    }
    // The first one stands still for longer than its lease, and the next one comes.
    let next = async {
        loop {
            if let Some(second) = L::take(&store, SOON).await {
                return second;
            }
            sleep(LEASE / 10).await;
        }
    };
    let Ok(second) = timeout(SOON, next).await else {
        return Err("A holder that stands still keeps the lock for ever: let it end by itself after its lease.".into());
    };
    first.release(&store).await;
    if L::take(&store, SOON).await.is_some() {
        return Err(
            "The first holder stood still for longer than its lease, came back, and released the lock of the second one: \
             a third took it, and now two hold the lock at once. Write a token of your own as the value, and delete the \
             key only while your token stands there."
                .into(),
        );
    }
    second.release(&store).await;
    if L::take(&store, LEASE).await.is_none() {
        return Err("Its owner released the lock, and it can't be taken.".into());
    }
    Ok("Whoever comes too late releases nothing but its own lock.".into())
}
