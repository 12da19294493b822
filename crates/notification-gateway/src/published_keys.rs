//! The public keys by which tokens are checked: fetched, kept, and used when old while no new ones can be fetched.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::http::TokenKeys;
use common::http::keys::{Jwks, KeySet};
use common::outbound::{Destination, OutboundClient};
use common::process::{State, Tasks, chain};
use common::resilience::BreakerOptions;
use parking_lot::RwLock;
use reqwest::Url;

/// How often the keys are fetched anew.
const FRESH: Duration = Duration::from_mins(5);
/// Pause after a fetch that failed.
const AGAIN: Duration = Duration::from_secs(2);
/// A token with an unknown key makes us fetch, but no more often than this: anybody can make such a token up.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// All tries of one fetch, and one try: a small document of a service next door.
const CALL: Duration = Duration::from_secs(3);
const TRY: Duration = Duration::from_secs(1);
/// How long the breaker keeps fetches back, before its jitter of a fifth. It is less than [`AGAIN`], so that each fetch in
/// the background may probe: those are paced already, and a token must not wait longer because of the breaker.
const BREAK: Duration = Duration::from_secs(1);

/// user-api's public keys.
pub(crate) struct PublishedKeys {
    client: OutboundClient,
    url: Url,
    known: RwLock<Known>,
    /// Held while fetching, so that all who wait share one fetch.
    fetching: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    keys: Option<KeySet>,
    last_failed: bool,
}

/// How user-api is called.
pub(crate) fn destination() -> Destination {
    let usual = Destination::new("jwks", CALL, TRY);
    Destination {
        breaker: BreakerOptions {
            open_first: BREAK,
            open_limit: BREAK,
            probes: 1,
            ..usual.breaker
        },
        ..usual
    }
}

impl PublishedKeys {
    /// Fetches the keys now and from time to time; what was fetched stays good when a fetch fails.
    pub(crate) fn spawn(client: OutboundClient, url: Url, tasks: &Tasks) -> Arc<Self> {
        let keys = Arc::new(Self {
            client,
            url,
            known: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        });
        let (owned, stopping) = (Arc::clone(&keys), tasks.stopping().clone());
        tasks.spawn("jwks", async move {
            let fetching = async {
                loop {
                    let pause = if owned.fetch(AGAIN).await { FRESH } else { AGAIN };
                    tokio::time::sleep(pause).await;
                }
            };
            stopping.run_until_cancelled(fetching).await;
        });
        keys
    }

    /// For readiness. Without keys no token can be checked; with old ones nearly every token can.
    pub(crate) fn state(&self) -> State {
        let known = self.known.read();
        match (&known.keys, known.last_failed) {
            (Some(_), false) => State::Up,
            (Some(_), true) => State::Degraded,
            (None, _) => State::Down,
        }
    }

    /// Fetches the keys, unless somebody did within `at_least`. Answers whether the last fetch went well.
    async fn fetch(&self, at_least: Duration) -> bool {
        let mut last = self.fetching.lock().await;
        if last.is_some_and(|at| at.elapsed() < at_least) {
            return !self.known.read().last_failed;
        }
        let fetched = self.client.get(self.url.clone()).await;
        *last = Some(Instant::now());
        // Tokens that were found good stay known for as long as the keys are the same.
        let before = self.known().unwrap_or_default();
        let keys = match fetched.map(|answer| answer.json::<Jwks>().map(|jwks| before.renewed(&jwks))) {
            Ok(Ok(keys)) if keys.is_empty() => Err("the document has no Ed25519 keys".to_owned()),
            Ok(Ok(keys)) => Ok(keys),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(chain(&error)),
        };
        let mut known = self.known.write();
        let went_well = keys.is_ok();
        match keys {
            Ok(keys) => known.keys = Some(keys),
            Err(error) if !known.last_failed => {
                tracing::warn!(error, "the keys for tokens can't be fetched; those known stay in use");
            }
            Err(_) => {}
        }
        known.last_failed = !went_well;
        went_well
    }
}

impl TokenKeys for PublishedKeys {
    fn known(&self) -> Option<KeySet> {
        self.known.read().keys.clone()
    }

    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.fetch(LOOK_AGAIN).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use common::resilience::{Breaker, Verdict};

    use super::*;

    /// Time from the return of user-api to a fetch that the breaker lets through, with a fetch after each pause.
    fn found_after(away: Duration, pause: Duration) -> Duration {
        let began = Instant::now();
        let breaker = Breaker::new(destination().breaker, began);
        let mut now = began;
        loop {
            if let Ok(permit) = breaker.admit(now) {
                if now >= began + away {
                    return now - (began + away);
                }
                permit.report(Verdict::Failure, now);
            }
            now += pause;
        }
    }

    #[test]
    fn the_breaker_keeps_the_fetch_in_the_background_back_for_one_pause_at_most() {
        for away in [1, 10, 40, 120, 3600].map(Duration::from_secs) {
            let found = found_after(away, AGAIN);
            assert!(found <= AGAIN, "{found:?} after {away:?}");
            // The same holds while strangers' tokens use its probes up.
            let found = found_after(away, LOOK_AGAIN);
            assert!(found <= AGAIN, "{found:?} after {away:?} of strangers");
        }
    }
}
