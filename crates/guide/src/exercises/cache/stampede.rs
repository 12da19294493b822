//! cache-4: a crowd that asks for one profile costs one query.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::profiles::{Profiles, SOON, store};
use crate::exercises::exercise::Verdict;
use crate::exercises::table::Table;

/// Readers who come at once.
const CROWD: usize = 50;

pub(crate) async fn check<P: Profiles>() -> Verdict {
    let table = Table::of(&[(1, "Ada Byron")]);
    let profiles = Arc::new(P::new(store()?, table.clone()));
    let crowd = join_all((0..CROWD).map(|_| profiles.read(1)));
    let Ok(names) = timeout(SOON, crowd).await else {
        return Err("Some readers were never answered: whoever waits for a load must be told when it is done.".into());
    };
    if let Some(wrong) = names.iter().find(|name| name.as_deref() != Some("Ada Byron")) {
        return Err(format!(
            "A reader was answered {wrong:?}, and the database has \"Ada Byron\"."
        ));
    }
    let asked = table.asked();
    if asked > 1 {
        return Err(format!(
            "The database was asked {asked} times for one profile; once is enough. {CROWD} readers came at once, each \
             found nothing in the cache, and each went to the database. Let the first one load and the others wait for \
             what it brings."
        ));
    }
    if timeout(SOON, profiles.read(1)).await.is_err() || table.asked() > 1 {
        return Err("A reader who comes later asks the database again: keep what was loaded in the store.".into());
    }
    Ok(format!("{CROWD} readers of one profile cost {asked} query."))
}
