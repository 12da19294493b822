//! cache-7: a lock with a lease. A holder that comes back too late must not release what another one holds.
//!
//! Edit this file, then `make exercise E=cache-7`.

use std::time::Duration;

use common::store::Store;

use crate::exercises::cache::lease::Lease;

const KEY: &str = "lock:report";

pub(crate) struct Lock;

impl Lease for Lock {
    async fn take(store: &Store, lease: Duration) -> Option<Self> {
        let is_ours = store.set_if_absent(KEY, b"taken", lease).await.ok()?;
        is_ours.then_some(Self)
    }

    async fn release(self, store: &Store) {
        let _ = store.compare_and_delete(KEY, b"taken").await;
    }
}
