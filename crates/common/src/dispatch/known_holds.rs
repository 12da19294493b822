//! What a process knows of the holds of its service: for readiness, metrics, and senders who choose between providers.
//!
//! It looks at the table each second, and learns at once what is ordered in this process. So what it knows is a second
//! old, and older only while the database is slow (a look may take up to [`STATEMENT`]) or does not answer: then it is what
//! was seen last, and each hold ends at its time all the same. Counting what waits may take long, and delays no look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
/// Longest wait for one look; the server ends it sooner.
const STATEMENT: Duration = Duration::from_millis(2500);

/// What a process knows of the holds of its service. Cheap to clone.
#[derive(Clone)]
pub struct Holds(Arc<Known>);

struct Known {
    database: Database,
    /// What can be held.
    destinations: Vec<String>,
    /// Those of them that deliveries go to: the destinations without the providers.
    counted: Vec<String>,
    held: RwLock<Seen>,
}

/// What was seen of the table.
#[derive(Debug, Default)]
struct Seen {
    /// Nothing is known before the first look.
    holds: Option<BTreeMap<String, Hold>>,
    /// How many orders of an operator were given to this process.
    orders: u64,
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
    /// The holds of a service whose deliveries go to `destinations`. Where several providers may make a delivery,
    /// `deliverers` names them. Begins to look at the table, in a task of its own.
    pub fn spawn(database: Database, destinations: Vec<String>, deliverers: Vec<String>, tasks: &Tasks) -> Self {
        let holds = Self::of(database, destinations, deliverers);
        let (looking, stopping) = (holds.clone(), tasks.stopping().clone());
        tasks.spawn("holds", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = looking.look_on() => {}
                () = looking.count_on() => {}
            }
        });
        holds
    }

    fn of(database: Database, destinations: Vec<String>, deliverers: Vec<String>) -> Self {
        Self(Arc::new(Known {
            database,
            counted: destinations.clone(),
            destinations: destinations.into_iter().chain(deliverers).collect(),
            held: RwLock::default(),
        }))
    }

    /// What can be held.
    pub fn destinations(&self) -> &[String] {
        &self.0.destinations
    }

    /// The names of what is held at `now`, in order.
    pub fn held(&self, now: Timestamp) -> Vec<String> {
        let seen = self.0.held.read();
        let still = seen.holds.iter().flatten().filter(|(_, hold)| hold.until > now);
        still.map(|(name, _)| name.clone()).collect()
    }

    /// How much longer a destination is held; `None`: it is not held. Before the first look it answers with a second for
    /// every destination. That holds up nothing: without the database, which a look needs, nothing is claimed either.
    pub fn left(&self, destination: &str, now: Timestamp) -> Option<Duration> {
        let seen = self.0.held.read();
        let Some(holds) = &seen.holds else {
            return Some(LOOK);
        };
        let until = holds.get(destination)?.until;
        (until > now).then(|| until.since(now))
    }

    /// A destination's hold: its age, the time left and how many deliveries wait; `None`: it is not held at `now`.
    pub fn shown(&self, destination: &str, now: Timestamp) -> Option<Held> {
        let seen = self.0.held.read();
        let hold = seen.holds.as_ref()?.get(destination)?;
        (hold.until > now).then(|| Held {
            age: now.since(hold.since),
            left: hold.until.since(now),
            waiting: hold.waiting,
        })
    }

    /// Takes over an order that this process has committed, without waiting for the next look; `until` is `None` when the
    /// hold was ended. A look that is under way may not have seen it, and is made again.
    pub(crate) fn heed(&self, destination: &str, until: Option<Timestamp>) {
        let mut seen = self.0.held.write();
        seen.orders += 1;
        // Before the first look there is nothing to change: that look will find the order.
        let Some(all) = seen.holds.as_mut() else {
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
        loop {
            let before = self.orders();
            let read = self.0.database.read();
            match within(STATEMENT, list(read, Timestamp::now())).await {
                Ok(rows) => {
                    if !self.take_over(rows, before) {
                        // What it saw may be older than an order that came meanwhile: look again at once.
                        continue;
                    }
                }
                // The known holds end by themselves; and without the database nothing is claimed.
                Err(error) => tracing::debug!(error = chain(&error), "holds can't be read"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn orders(&self) -> u64 {
        self.0.held.read().orders
    }

    /// Takes over what a look saw. `orders` is their number when the look began; false when another has come since.
    fn take_over(&self, rows: Vec<Model>, orders: u64) -> bool {
        let mut seen = self.0.held.write();
        if seen.orders != orders {
            return false;
        }
        let before = seen.holds.take().unwrap_or_default();
        let holds = rows.into_iter().map(|row| {
            let hold = Hold {
                since: row.since,
                until: row.until,
                waiting: before.get(&row.destination).map_or(0, |hold| hold.waiting),
            };
            (row.destination, hold)
        });
        seen.holds = Some(holds.collect());
        true
    }

    /// Counts again and again, beside the looks: a count may take seconds.
    async fn count_on(&self) {
        // The first look is over by then, as a rule.
        let mut pause = LOOK;
        loop {
            tokio::time::sleep(pause).await;
            self.count().await;
            pause = COUNT;
        }
    }

    /// Counts what is due behind each hold that something waits for.
    async fn count(&self) {
        let now = Timestamp::now();
        for name in self.to_count(now) {
            match within(STATEMENT, waiting(self.0.database.read(), &name, now)).await {
                Ok(waiting) => {
                    let mut seen = self.0.held.write();
                    if let Some(hold) = seen.holds.as_mut().and_then(|holds| holds.get_mut(&name)) {
                        hold.waiting = waiting;
                    }
                }
                Err(error) => tracing::debug!(error = chain(&error), "what waits behind a hold can't be counted"),
            }
        }
    }

    /// The held destinations, without providers: no delivery waits for one provider of several, since the others take it.
    fn to_count(&self, now: Timestamp) -> Vec<String> {
        let mut held = self.held(now);
        held.retain(|name| self.0.counted.contains(name));
        held
    }
}

impl std::fmt::Debug for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Holds").field(&*self.0.held.read()).finish()
    }
}

#[cfg(test)]
mod tests {
    use test_support::TestDatabase;

    use super::*;
    use crate::config::{Service, Settings};

    const HOUR: Duration = Duration::from_hours(1);

    /// The holds of a service that has SMS and two providers for it; no task looks at the table.
    async fn holds(kept: &TestDatabase) -> Holds {
        let mut settings = Settings::for_tests(Service::NotificationGateway);
        settings.database.url = kept.url().into();
        let database = Database::connect(&settings, Service::NotificationGateway)
            .await
            .unwrap();
        let deliverers = vec!["sms.first".to_owned(), "sms.backup".to_owned()];
        Holds::of(database, vec!["sms".to_owned()], deliverers)
    }

    #[tokio::test]
    async fn a_look_that_began_before_an_order_does_not_undo_it() {
        let kept = TestDatabase::sqlite();
        let (holds, now) = (holds(&kept).await, Timestamp::now());
        let before = holds.orders();
        holds.heed("sms", Some(now + HOUR));
        assert!(!holds.take_over(vec![], before), "also the first look");
        assert!(holds.left("sms", now).is_some());

        assert!(holds.take_over(vec![], holds.orders()));
        assert_eq!(holds.left("sms", now), None);
        let before = holds.orders();
        holds.heed("sms", Some(now + HOUR));
        assert!(!holds.take_over(vec![], before));
        assert_eq!(holds.left("sms", now), Some(HOUR));
        assert!(holds.take_over(vec![], holds.orders()), "somebody else ended it");
        assert_eq!(holds.left("sms", now), None);
    }

    #[tokio::test]
    async fn what_waits_is_counted_for_destinations_and_not_for_one_of_several_deliverers() {
        let kept = TestDatabase::sqlite();
        let (holds, now) = (holds(&kept).await, Timestamp::now());
        assert!(holds.take_over(vec![], holds.orders()));
        for name in holds.destinations() {
            holds.heed(name, Some(now + HOUR));
        }
        assert_eq!(holds.held(now), ["sms", "sms.backup", "sms.first"]);
        assert_eq!(holds.to_count(now), ["sms"]);
    }
}
