//! One load a key at a time: the first reader leads, the others wait for what it brings.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{Read, ReadError};

type Outcome = Result<Read, ReadError>;
type Under = HashMap<String, watch::Receiver<Option<Outcome>>>;

/// The loads under way, by key.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<Under>>);

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

    /// Lets the key's flight end for those who wait for it, and nobody join it any more.
    pub(super) fn detach(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Under> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
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
    use super::{super::Layer, *};

    fn nothing() -> Read {
        Read {
            found: None,
            layer: Layer::Database,
            stale_for: None,
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
