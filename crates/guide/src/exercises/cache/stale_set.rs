//! cache-5: a slow reader does not put an old row into the cache after a change.

use std::sync::Arc;

use tokio::time::timeout;

use super::profiles::{Profiles, SOON, store};
use crate::exercises::exercise::Verdict;
use crate::exercises::table::Table;

pub(crate) async fn check<P: Profiles>() -> Verdict {
    let table = Table::of(&[(1, "Ada Byron")]);
    let profiles = Arc::new(P::new(store()?, table.clone()));
    let delay = table.hold_next_reader();
    let changed_meanwhile = async {
        delay.reached().await;
        profiles.rename(1, "Ada Lovelace").await;
        delay.end();
    };
    let both = async { tokio::join!(profiles.read(1), changed_meanwhile) };
    if timeout(SOON, both).await.is_err() {
        return Err("The read of a cold profile never asked the database, or the change never ended.".into());
    }
    let now = timeout(SOON, profiles.read(1)).await.ok().flatten();
    if now.as_deref() != Some("Ada Lovelace") {
        return Err(format!(
            "A slow reader had read the row before the change and kept it after: the cache still answers {:?} after the \
             change to \"Ada Lovelace\", until its life is over. Write under the row's version, and let no older version \
             replace a newer one.",
            now.unwrap_or_default()
        ));
    }
    let asked = table.asked();
    let _ = timeout(SOON, profiles.read(1)).await;
    if table.asked() > asked {
        return Err("What is read goes to the database each time: the change is not kept in the store.".into());
    }
    Ok("The slow reader's old row was refused, and the cache answers \"Ada Lovelace\".".into())
}
