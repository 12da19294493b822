//! resilience-7: a limit holds over all replicas.

use std::time::Duration;

use common::config::Service;
use common::process::Tasks;
use common::store::{Store, Timeouts};
use tokio::time::timeout;

use crate::exercises::exercise::Verdict;

/// How long a check waits for what should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// Requests that one caller may make a minute; all of them may come at once.
pub(crate) const ALLOWED: u32 = 30;
/// Requests that the limit may give back while the check runs, on a machine that others use, too.
const GRACE: usize = 3;
const REPLICAS: usize = 3;

/// One replica's limits of callers.
pub(crate) trait Admits: Send + Sync + 'static {
    /// Makes the limits of one replica, over the store that all replicas share.
    fn new(store: Store) -> Self;
    /// Whether a request of this caller passes.
    fn admits(&self, caller: &str) -> impl Future<Output = bool> + Send;
}

pub(crate) async fn check<A: Admits>() -> Verdict {
    let tasks = Tasks::new(Service::UserApi);
    let store = Store::open("memory://", "exercise", Timeouts::default(), &tasks).map_err(|error| error.to_string())?;
    let replicas = [(); REPLICAS].map(|()| A::new(store.clone()));
    let mut passed = 0;
    for n in 0..ALLOWED as usize * 4 {
        let admitted = timeout(SOON, replicas[n % REPLICAS].admits("ada")).await;
        passed += usize::from(admitted.map_err(|_| "A request was neither let in nor refused.")?);
    }
    let allowed = ALLOWED as usize;
    if passed > allowed + GRACE {
        return Err(format!(
            "Three replicas let {passed} requests of one caller pass; {allowed} are allowed. Each counts by itself, so the \
             limit grows with the replicas. Keep the number where all of them look: in the store."
        ));
    }
    if passed < allowed {
        return Err(format!("{passed} requests passed; {allowed} at once are allowed."));
    }
    if timeout(SOON, replicas[0].admits("grace")).await != Ok(true) {
        return Err("Ada has used up her limit, and Grace is refused: each caller has a number of their own.".into());
    }
    Ok(format!(
        "Three replicas let {passed} of {} requests pass together, and others are not touched.",
        allowed * 4
    ))
}
