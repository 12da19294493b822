//! What a process knows of the holds of its service, a second late at most: for readiness, metrics, and senders who choose
//! between providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::holds::{Model, list, waiting};
use crate::Timestamp;
use crate::database::{Database, within};
use crate::process::{Tasks, chain};
use crate::telemetry::Held;

/// How often a process looks at the table.
const LOOK: Duration = Duration::from_secs(1);
/// How often it counts what is due behind the holds.
const COUNT: Duration = Duration::from_secs(5);
/// One look; the server ends it sooner.
const STATEMENT: Duration = Duration::from_millis(2500);

/// What a process knows of the holds of its service. Cheap to clone.
#[derive(Clone)]
pub struct Holds(Arc<Known>);

struct Known {
    database: Database,
    /// What can be held.
    destinations: Vec<String>,
    /// Nothing is known before the first look.
    held: RwLock<Option<BTreeMap<String, Hold>>>,
}

/// A hold, as far as a process must know it.
#[derive(Debug, Clone, Copy)]
struct Hold {
    since: Timestamp,
    until: Timestamp,
    /// How many deliveries were due behind it at the last count.
    waiting: u64,
}

impl Holds {
    /// Those of a service whose destinations these are; begins to look at them.
    pub fn spawn(database: Database, destinations: Vec<String>, tasks: &Tasks) -> Self {
        let holds = Self(Arc::new(Known {
            database,
            destinations,
            held: RwLock::default(),
        }));
        let (looking, stopping) = (holds.clone(), tasks.stopping().clone());
        tasks.spawn("holds", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = looking.look_on() => {}
            }
        });
        holds
    }

    /// What can be held.
    pub fn destinations(&self) -> &[String] {
        &self.0.destinations
    }

    /// What is held at this moment, by name.
    pub fn held(&self, now: Timestamp) -> Vec<String> {
        let held = self.0.held.read();
        let still = held.iter().flatten().filter(|(_, hold)| hold.until > now);
        still.map(|(name, _)| name.clone()).collect()
    }

    /// For how long a destination is held yet; `None`: it is not. Before the first look all are, for a moment: without the
    /// database, which a look needs, nothing is claimed either.
    pub fn left(&self, destination: &str, now: Timestamp) -> Option<Duration> {
        let Some(hold) = self.0.held.read().as_ref().map(|held| held.get(destination).copied()) else {
            return Some(LOOK);
        };
        let until = hold?.until;
        (until > now).then(|| until.since(now))
    }

    /// How a destination is held at this moment; `None`: it is not.
    pub fn shown(&self, destination: &str, now: Timestamp) -> Option<Held> {
        let known = self.0.held.read();
        let hold = known.as_ref()?.get(destination)?;
        (hold.until > now).then(|| Held {
            age: now.since(hold.since),
            left: hold.until.since(now),
            waiting: hold.waiting,
        })
    }

    /// Takes over what was committed here, before the next look.
    pub(crate) fn heed(&self, destination: &str, until: Option<Timestamp>) {
        let mut known = self.0.held.write();
        // Before the first look nothing has to be taken over: it finds it.
        let Some(all) = known.as_mut() else {
            return;
        };
        let Some(until) = until else {
            all.remove(destination);
            return;
        };
        let hold = Hold {
            since: Timestamp::now(),
            until,
            waiting: all.get(destination).map_or(0, |before| before.waiting),
        };
        all.insert(destination.to_owned(), hold);
    }

    async fn look_on(&self) {
        let mut counted = None;
        loop {
            let read = self.0.database.read();
            match within(STATEMENT, list(read, Timestamp::now())).await {
                Ok(rows) => {
                    let is_time = counted.is_none_or(|at: Instant| at.elapsed() >= COUNT);
                    self.take_over(rows);
                    if is_time {
                        self.count().await;
                        counted = Some(Instant::now());
                    }
                }
                // What is known ends by itself; nothing is sent meanwhile either.
                Err(error) => tracing::debug!(error = chain(&error), "holds can't be read"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn take_over(&self, rows: Vec<Model>) {
        let mut known = self.0.held.write();
        let before = known.take().unwrap_or_default();
        let holds = rows.into_iter().map(|row| {
            let hold = Hold {
                since: row.since,
                until: row.until,
                waiting: before.get(&row.destination).map_or(0, |hold| hold.waiting),
            };
            (row.destination, hold)
        });
        *known = Some(holds.collect());
    }

    /// Counts what is due behind each hold.
    async fn count(&self) {
        let now = Timestamp::now();
        for name in self.held(now) {
            match within(STATEMENT, waiting(self.0.database.read(), &name, now)).await {
                Ok(waiting) => {
                    if let Some(hold) = self.0.held.write().as_mut().and_then(|held| held.get_mut(&name)) {
                        hold.waiting = waiting;
                    }
                }
                Err(error) => tracing::debug!(error = chain(&error), "what waits behind a hold can't be counted"),
            }
        }
    }
}

impl std::fmt::Debug for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Holds").field(&*self.0.held.read()).finish()
    }
}
