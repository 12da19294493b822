//! cache-7, a solution: the value is its owner's token, and only who has it deletes the key.

use std::time::Duration;

use common::store::Store;
use uuid::Uuid;

use crate::exercises::cache::lease::Lease;

const KEY: &str = "lock:report";

pub(crate) struct Lock {
    token: String,
}

impl Lease for Lock {
    async fn take(store: &Store, lease: Duration) -> Option<Self> {
        let token = Uuid::now_v7().simple().to_string();
        let is_ours = store.set_if_absent(KEY, token.as_bytes(), lease).await.ok()?;
        is_ours.then_some(Self { token })
    }

    async fn release(self, store: &Store) {
        // Compared and deleted in one step on the server: between two steps another one could take it.
        let _ = store.compare_and_delete(KEY, self.token.as_bytes()).await;
    }
}
