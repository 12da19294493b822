//! cache-6: the cache remembers that somebody is not there, and forgets it as soon as they sign up.

use tokio::time::timeout;

use super::profiles::{Profiles, SOON, store};
use crate::exercises::exercise::Verdict;
use crate::exercises::table::Table;

/// How often a client asks for somebody who is not there.
const READS: usize = 20;

pub(crate) async fn check<P: Profiles>() -> Verdict {
    let table = Table::of(&[(1, "Ada Byron")]);
    let profiles = P::new(store()?, table.clone());
    for _ in 0..READS {
        match timeout(SOON, profiles.read(404)).await {
            Ok(None) => {}
            Ok(Some(name)) => return Err(format!("Nobody has the id 404, and {name:?} was answered.")),
            Err(_) => return Err("A reader of somebody who is not there was never answered.".into()),
        }
    }
    let asked = table.asked();
    if asked > 1 {
        return Err(format!(
            "The database was asked {asked} times for somebody who is not there; once is enough for a while. Remember \
             \"not there\" too, for some seconds, under a version that every real row is above."
        ));
    }
    profiles.rename(404, "Grace Hopper").await;
    match timeout(SOON, profiles.read(404)).await {
        Ok(Some(name)) if name == "Grace Hopper" => {}
        _ => return Err("Grace Hopper signed up as 404, and the cache still says that nobody is there.".into()),
    }
    if timeout(SOON, profiles.read(1)).await.ok().flatten().as_deref() != Some("Ada Byron") {
        return Err("Somebody who is there is not found any more.".into());
    }
    Ok(format!(
        "{READS} reads of nobody cost {asked} query, and who signs up is seen at once."
    ))
}
