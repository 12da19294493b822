//! One load a key at a time: the first reader leads, the others wait for what it brings.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::Instant};

use super::{Read, ReadError};

type Outcome = Result<Read, ReadError>;
type Under = HashMap<String, watch::Receiver<Option<Outcome>>>;

/// Most keys whose failed refresh is remembered.
const MAX_RESTING: usize = 10_000;

/// The loads under way, by key, and those that failed lately.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Inner>);

/// Since when a key rests, and until when at most.
#[derive(Clone, Copy)]
struct Rest {
    since: Instant,
    until: Instant,
}

#[derive(Default)]
struct Inner {
    under: Mutex<Under>,
    resting: Mutex<HashMap<String, Rest>>,
    /// How many keys rest. Readers look here first, because they look at each read of what is stale.
    rest: AtomicUsize,
}

/// The right and the duty to bring the answer; dropped without one, the waiters are told.
pub(super) struct Flight {
    flights: Flights,
    key: String,
    answer: watch::Sender<Option<Outcome>>,
}

/// The wait for a flight's answer.
pub(super) struct Answer(watch::Receiver<Option<Outcome>>);

impl Flights {
    /// Joins the key's flight, or begins one: then its leader is handed back too.
    pub(super) fn join(&self, key: &str) -> (Answer, Option<Flight>) {
        let mut under = self.lock();
        if let Some(answer) = under.get(key) {
            return (Answer(answer.clone()), None);
        }
        let (sender, receiver) = watch::channel(None);
        under.insert(key.to_owned(), receiver.clone());
        let flight = Flight {
            flights: self.clone(),
            key: key.to_owned(),
            answer: sender,
        };
        (Answer(receiver), Some(flight))
    }

    /// Whether a refresh of this key failed within `most`: who has anything to answer with does not try again yet.
    pub(super) fn rests(&self, key: &str, most: Duration) -> bool {
        if self.0.rest.load(Relaxed) == 0 {
            return false;
        }
        let now = Instant::now();
        let mut resting = self.0.resting.lock();
        let rest = resting.get(key).copied();
        if rest.is_some_and(|rest| rest.until <= now) {
            resting.remove(key);
            self.0.rest.store(resting.len(), Relaxed);
            return false;
        }
        rest.is_some_and(|rest| now < rest.since + most)
    }

    fn rest(&self, key: &str, span: Duration) {
        let mut resting = self.0.resting.lock();
        let since = Instant::now();
        if resting.len() >= MAX_RESTING {
            resting.retain(|_, rest| rest.until > since);
        }
        // When too many rest already, this key is tried again at each read.
        if resting.len() < MAX_RESTING {
            let until = since + span;
            resting.insert(key.to_owned(), Rest { since, until });
        }
        self.0.rest.store(resting.len(), Relaxed);
    }

    /// Lets nobody join the key's flight any more. Those who wait for it still get its answer.
    pub(super) fn detach(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Under> {
        self.0.under.lock()
    }
}

impl Flight {
    /// For `span`, nobody who has anything to answer with tries again.
    pub(super) fn rest(&self, span: Duration) {
        self.flights.rest(&self.key, span);
    }

    /// Gives the answer to those who wait, while the flight goes on with what they need not wait for.
    pub(super) fn answer(&self, read: Read) {
        self.answer.send_replace(Some(Ok(read)));
    }

    pub(super) fn land(self, outcome: Outcome) {
        self.answer.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut under = self.flights.lock();
        let own = self.answer.subscribe();
        // After a detach the key may belong to a later flight.
        if under.get(&self.key).is_some_and(|held| held.same_channel(&own)) {
            under.remove(&self.key);
        }
    }
}

impl Answer {
    pub(super) async fn wait(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(ReadError::TimedOut)),
            // The leader is gone without an answer: it panicked, or the process is stopping.
            Err(_) => Err(ReadError::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Layer, Reason},
        *,
    };

    fn nothing() -> Read {
        Read {
            found: None,
            layer: Layer::Database,
            reason: Reason::Miss,
            fresh_for: 5,
        }
    }

    #[tokio::test]
    async fn the_first_leads_and_all_get_its_answer() {
        let flights = Flights::default();
        let (first, flight) = flights.join("a");
        let (second, none) = flights.join("a");
        assert!(none.is_none());
        flight.unwrap().land(Ok(nothing()));
        assert!(first.wait().await.is_ok());
        assert!(second.wait().await.is_ok());
        assert!(flights.join("a").1.is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_what_a_flight_does_after_its_answer() {
        let flights = Flights::default();
        let (first, flight) = flights.join("a");
        let flight = flight.unwrap();
        flight.answer(nothing());
        assert!(first.wait().await.is_ok());
        let (late, none) = flights.join("a");
        assert!(none.is_none() && late.wait().await.is_ok());
    }

    #[tokio::test]
    async fn a_flight_that_is_lost_ends_the_wait() {
        let flights = Flights::default();
        let (answer, flight) = flights.join("a");
        drop(flight);
        assert!(answer.wait().await.is_err());
    }

    #[test]
    fn a_detached_flight_does_not_end_its_successor() {
        let flights = Flights::default();
        let (_, old) = flights.join("a");
        flights.detach("a");
        let (_, new) = flights.join("a");
        drop(old);
        assert!(flights.join("a").1.is_none());
        drop(new);
    }
}
