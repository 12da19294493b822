//! cache-1 and cache-2: the learner predicts a number or an order; the check runs the scene and compares.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::Timestamp;
use common::config::Service;
use common::process::Tasks;
use common::store::cache::{Layer, LoadError, Loaded};
use common::store::{Cache, CacheKey, CacheOptions, Store};
use common::telemetry::Metrics;

use super::profiles::{SOON, store};
use crate::exercises::exercise::{Attempt, Verdict};

/// Nobody has this id.
const NOBODY: u32 = 404;

struct Profile(u32);

impl CacheKey for Profile {
    type Value = String;
    const FORMAT: u8 = 1;
    const MAY_BE_STALE: bool = true;

    fn store_key(&self) -> String {
        format!("profile:{}", self.0)
    }
}

/// Replicas of Waypost's own cache over one store, before a database that counts its queries.
struct Scene {
    store: Store,
    asked: Arc<AtomicUsize>,
}

impl Scene {
    fn open() -> Result<Self, String> {
        let (store, asked) = (store()?, Arc::default());
        Ok(Self { store, asked })
    }

    async fn replica(&self) -> Cache<Profile> {
        let (metrics, tasks) = (Metrics::new(Service::UserApi), Tasks::new(Service::UserApi));
        let cache = Cache::new(self.store.clone(), CacheOptions::default(), metrics, tasks);
        cache.hears_others(SOON).await;
        cache
    }

    /// Reads a profile at a moment, and says which layer answered: `p`rocess, `r`edis, `d`atabase.
    async fn read(&self, cache: &Cache<Profile>, id: u32, at: Timestamp) -> Result<char, String> {
        let asked = Arc::clone(&self.asked);
        let load = move || async move {
            asked.fetch_add(1, SeqCst);
            let (version, value) = (1, "Ada Byron".to_owned());
            Ok::<_, LoadError>((id != NOBODY).then_some(Loaded { version, value }))
        };
        let read = cache.read(&Profile(id), at, load).await;
        let read = read.map_err(|error| format!("A read failed: {error}."))?;
        Ok(match read.layer {
            Layer::InProcess => 'p',
            Layer::Store => 'r',
            Layer::Database => 'd',
        })
    }
}

/// cache-1: how many queries six reads, a write and a look for nobody cost.
pub(crate) async fn queries(attempt: Attempt) -> Verdict {
    let answer = attempt.answered("cache-1")?;
    let (scene, now) = (Scene::open()?, Timestamp::now());
    let (one, two) = (scene.replica().await, scene.replica().await);
    for cache in [&one, &one, &two] {
        scene.read(cache, 1, now).await?;
    }
    one.put(&Profile(1), 2, &"Ada Lovelace".to_owned(), now).await;
    scene.read(&one, 1, now).await?;
    for _ in 0..2 {
        scene.read(&one, NOBODY, now).await?;
    }
    let asked = scene.asked.load(SeqCst);
    if answer != asked.to_string() {
        return Err(format!(
            "You said {answer}. It was run, and the database was asked another number of times: count the reads that find \
             a value neither in their process nor in the store, and look at what is kept of \"nobody\"."
        ));
    }
    Ok(format!(
        "Six reads and a write cost {asked} queries: one for Ada, one for nobody."
    ))
}

/// cache-2: which layer answers each of six reads in the course of seven minutes.
pub(crate) async fn layers(attempt: Attempt) -> Verdict {
    let answer = attempt.answered("cache-2")?;
    let (scene, now) = (Scene::open()?, Timestamp::now());
    let (one, two) = (scene.replica().await, scene.replica().await);
    let reads = [(&one, 0), (&one, 10), (&one, 40), (&one, 41), (&one, 400), (&two, 401)];
    let mut seen = String::new();
    for (cache, seconds) in reads {
        let at = now + Duration::from_secs(seconds);
        seen.push(scene.read(cache, 1, at).await?);
    }
    if answer == seen {
        return Ok(format!("{seen}: each read was answered by the layer that you named."));
    }
    let same = answer
        .chars()
        .zip(seen.chars())
        .take_while(|(said, is)| said == is)
        .count();
    Err(format!(
        "You said {answer}. It was run: the first {same} of 6 are right. One letter a read: p for the process, r for \
         Redis, d for the database."
    ))
}
