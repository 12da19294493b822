//! Whether a place is free for one more call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::telemetry::Metrics;

/// Bounds how many calls are under way at a time, so that a slow dependency ties up no more than its share.
///
/// Cheap to clone; all clones share the places.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Arc<Semaphore>,
    places: usize,
    rejections: AtomicU64,
}

/// A taken place; dropping it frees it.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Bulkhead {
    /// Makes a bulkhead with that many places, at least one.
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(places)),
            places,
            rejections: AtomicU64::default(),
        }))
    }

    /// Takes a place when one is free; never waits.
    pub fn enter(&self) -> Option<Place> {
        self.counted(self.enter_at_once())
    }

    /// Takes a place when one is free; never waits. When none is free, this is not counted as a rejection, because the
    /// caller may still wait.
    pub fn enter_at_once(&self) -> Option<Place> {
        Arc::clone(&self.0.free).try_acquire_owned().ok().map(Place)
    }

    /// Takes a place, in the order of those who wait, and waits for it no longer than `patience`.
    ///
    /// # Cancel safety
    /// Dropped, it has taken no place.
    pub async fn enter_within(&self, patience: Duration) -> Option<Place> {
        if let Some(place) = self.enter_at_once() {
            return Some(place);
        }
        let waited = timeout(patience, Arc::clone(&self.0.free).acquire_owned()).await;
        self.counted(waited.ok().and_then(Result::ok).map(Place))
    }

    /// Shows its places and rejections in `metrics`, as they are at each reading (`waypost_bulkhead_places`).
    pub fn show_in(&self, metrics: &Metrics, name: impl Into<Arc<str>>) {
        let (bulkhead, name) = (Arc::clone(&self.0), name.into());
        metrics.at_each_reading(move |metrics| {
            let free = bulkhead.free.available_permits().min(bulkhead.places);
            let rejections = bulkhead.rejections.load(Relaxed);
            metrics.bulkhead(&name, (bulkhead.places - free, free), rejections);
        });
    }

    fn counted(&self, place: Option<Place>) -> Option<Place> {
        if place.is_none() {
            self.0.rejections.fetch_add(1, Relaxed);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Service;

    #[test]
    fn a_full_bulkhead_refuses_until_a_place_is_left() {
        let bulkhead = Bulkhead::new(2);
        let first = bulkhead.enter().unwrap();
        let _second = bulkhead.enter().unwrap();
        assert!(bulkhead.enter().is_none());
        drop(first);
        assert!(bulkhead.enter().is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_place_or_is_refused_when_the_time_is_over() {
        let bulkhead = Bulkhead::new(1);
        let metrics = Metrics::new(Service::UserApi);
        bulkhead.show_in(&metrics, "things");
        let first = bulkhead.enter().unwrap();
        let patience = Duration::from_millis(50);
        assert!(bulkhead.enter_within(patience).await.is_none());
        let waiting = bulkhead.enter_within(patience);
        let (second, ()) = tokio::join!(waiting, async { drop(first) });
        assert!(second.is_some());
        let text = metrics.render();
        for line in [
            "waypost_bulkhead_places{service=\"user-api\",bulkhead=\"things\",state=\"used\"} 1",
            "waypost_bulkhead_places{service=\"user-api\",bulkhead=\"things\",state=\"free\"} 0",
            "waypost_bulkhead_rejections_total{service=\"user-api\",bulkhead=\"things\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
