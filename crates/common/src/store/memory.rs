//! The store in memory: for one process that has no Redis.
//!
//! It keeps the contract of the Redis one, expiry included, and is bounded: when it is full, what is
//! nearest to its end goes first. It is shared by nobody and gone with the process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;

use super::{subscription::Subscription, versioned};
use crate::resilience::{Drawn, Quota, micros};

/// Most entries at a time; a user's entry is below 1 KiB, so these stay under some 50 MB.
const CAPACITY: usize = 50_000;
/// With so many bytes of keys and values it is full, for entries that are larger. The last one may go beyond.
const CAPACITY_BYTES: usize = 64 * 1024 * 1024;

/// Messages that a subscriber may be behind; one that is further behind has lost some and is told so.
const BACKLOG: usize = 1_024;

pub(super) struct Memory {
    entries: Mutex<Entries>,
    messages: broadcast::Sender<(String, Bytes)>,
    began: Instant,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            messages: broadcast::Sender::new(BACKLOG),
            began: Instant::now(),
        }
    }
}

struct Entry {
    value: Bytes,
    ends: Instant,
}

/// The entries, and how many bytes they have.
#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
}

impl Memory {
    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        live(&self.lock(), key).cloned()
    }

    pub(super) fn set(&self, key: String, value: &[u8], ttl: Duration) {
        insert(&mut self.lock(), key, value, ttl);
    }

    pub(super) fn set_if_absent(&self, key: String, value: &[u8], ttl: Duration) -> bool {
        let mut entries = self.lock();
        let absent = live(&entries, &key).is_none();
        if absent {
            insert(&mut entries, key, value, ttl);
        }
        absent
    }

    pub(super) fn compare_and_delete(&self, key: &str, expected: &[u8]) -> bool {
        let mut entries = self.lock();
        let holds = live(&entries, key).is_some_and(|value| value == expected);
        if holds {
            entries.remove(key);
        }
        holds
    }

    pub(super) fn compare_and_extend(&self, key: &str, expected: &[u8], ttl: Duration) -> bool {
        let mut entries = self.lock();
        let holds = live(&entries, key).is_some_and(|value| value == expected);
        if holds && let Some(entry) = entries.by_key.get_mut(key) {
            entry.ends = Instant::now() + ttl;
        }
        holds
    }

    pub(super) fn drop_older(&self, key: &str, version: u64) {
        let mut entries = self.lock();
        if live(&entries, key).is_some_and(|current| versioned::is_older(current, version)) {
            entries.remove(key);
        }
    }

    pub(super) fn draw(&self, key: String, quota: Quota, wanted: i64, known: i64) -> Drawn {
        let mut entries = self.lock();
        // Above 0, which stands for no arrival.
        let now = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX / 2) + 1;
        // Its life is not looked at: when that is over, its arrival is past, which means the same as no entry.
        let kept = entries
            .by_key
            .get(&key)
            .and_then(|entry| entry.value.as_ref().try_into().ok());
        let kept = kept.map_or(0, i64::from_be_bytes);
        let drawn = quota.draw(kept.max(known), now, wanted);
        let life = micros(drawn.arrival - now);
        insert(&mut entries, key, &drawn.arrival.to_be_bytes(), life);
        drawn
    }

    pub(super) fn publish(&self, channel: String, message: &[u8]) {
        // Nobody listens: nobody misses it.
        let _ = self.messages.send((channel, Bytes::copy_from_slice(message)));
    }

    pub(super) fn subscribe(&self, channel: String) -> Subscription {
        Subscription::memory(channel, self.messages.subscribe())
    }

    pub(super) fn put_if_newer(&self, key: String, encoded: &[u8], ttl: Duration) -> bool {
        let mut entries = self.lock();
        let newer = live(&entries, &key).is_none_or(|current| versioned::may_replace(current, encoded));
        if newer {
            insert(&mut entries, key, encoded, ttl);
        }
        newer
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Each critical section leaves the map whole, so a panic elsewhere spoils nothing.
        self.entries.lock()
    }
}

impl Entries {
    fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.by_key.remove_entry(key) {
            self.bytes -= size(&key, &entry);
        }
    }

    fn keep(&mut self, is_kept: impl Fn(&Entry) -> bool) {
        let Self { by_key, bytes } = self;
        by_key.retain(|key, entry| {
            let is_kept = is_kept(entry);
            *bytes -= if is_kept { 0 } else { size(key, entry) };
            is_kept
        });
    }

    fn is_full(&self) -> bool {
        self.by_key.len() >= CAPACITY || self.bytes >= CAPACITY_BYTES
    }

    /// Drops what has expired; if that is not enough, the sixteenth that ends first, until there is room.
    fn make_room(&mut self) {
        let now = Instant::now();
        self.keep(|entry| entry.ends > now);
        while self.is_full() {
            let mut ends: Vec<Instant> = self.by_key.values().map(|entry| entry.ends).collect();
            let sixteenth = ends.len() / 16;
            let (_, last_to_go, _) = ends.select_nth_unstable(sixteenth);
            let last_to_go = *last_to_go;
            self.keep(|entry| entry.ends > last_to_go);
        }
    }
}

fn size(key: &str, entry: &Entry) -> usize {
    key.len() + entry.value.len()
}

fn live<'a>(entries: &'a Entries, key: &str) -> Option<&'a Bytes> {
    let entry = entries.by_key.get(key)?;
    (entry.ends > Instant::now()).then_some(&entry.value)
}

fn insert(entries: &mut Entries, key: String, value: &[u8], ttl: Duration) {
    entries.remove(&key);
    if entries.is_full() {
        entries.make_room();
    }
    let entry = Entry {
        value: Bytes::copy_from_slice(value),
        ends: Instant::now() + ttl,
    };
    entries.bytes += size(&key, &entry);
    entries.by_key.insert(key, entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_keeps_what_lives_longest() {
        let memory = Memory::default();
        for n in 0..=CAPACITY {
            let ttl = Duration::from_secs(60 + n as u64);
            memory.set(n.to_string(), b"x", ttl);
        }
        assert!(memory.lock().by_key.len() <= CAPACITY);
        assert_eq!(memory.get("0"), None);
        assert!(memory.get(&CAPACITY.to_string()).is_some());
    }

    #[test]
    fn its_bytes_are_bounded_too_and_those_that_went_are_not_counted() {
        let memory = Memory::default();
        let large = vec![b'x'; 1024 * 1024];
        for n in 0..80 {
            memory.set(n.to_string(), &large, Duration::from_secs(60 + n));
        }
        assert!(memory.lock().bytes <= CAPACITY_BYTES + large.len());
        assert_eq!(memory.get("0"), None);
        assert!(memory.get("79").is_some());
        for n in 0..80 {
            memory.set(n.to_string(), b"y", Duration::from_mins(1));
            assert!(memory.compare_and_delete(&n.to_string(), b"y"));
        }
        assert_eq!(memory.lock().bytes, 0);
    }
}
