//! The in-process layer: bounded by weight, sharded, without a channel between those who read it.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::entry::Entry;
use super::recent::Recent;
use crate::Timestamp;

/// Writers of one key wait for each other; readers wait for nobody.
const STRIPES: usize = 64;
/// What an entry weighs beside its key and its value.
const OVERHEAD: usize = 150;
/// What a usual entry weighs: the number of entries that fit is guessed by it.
const USUAL_BYTES: u64 = 600;

/// An entry as this process holds it.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) entry: Entry,
    /// The generation that it was kept in. Once that is over, changes may have been missed: it is only a last resort.
    pub(super) generation: u64,
    /// It answers until then.
    pub(super) until: Timestamp,
}

pub(super) struct Local {
    cache: Cache<String, Held, Weight, RandomState>,
    stripes: [Mutex<()>; STRIPES],
    hasher: RandomState,
    /// The lowest version of each key that may be kept.
    recent: Recent,
}

#[derive(Clone)]
struct Weight;

impl Weighter<String, Held> for Weight {
    fn weight(&self, key: &String, held: &Held) -> u64 {
        let bytes = held.entry.value.as_ref().map_or(0, bytes::Bytes::len);
        u64::try_from(key.len() + bytes + OVERHEAD).unwrap_or(u64::MAX)
    }
}

impl Local {
    pub(super) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / USUAL_BYTES).unwrap_or(usize::MAX).max(16);
        Self {
            cache: Cache::with(
                entries,
                bytes,
                Weight,
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
            stripes: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::default(),
            recent: Recent::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Held> {
        self.cache.get(key)
    }

    /// Keeps an entry unless a newer one is held or known of.
    pub(super) fn keep(&self, key: &str, held: Held) {
        let _alone = self.alone(key);
        let version = held.entry.version;
        let is_newest = self.recent.allows(key, version)
            && self.cache.peek(key).is_none_or(|other| {
                // What is only a last resort says nothing about what is newest.
                other.generation != held.generation || other.entry.version <= version
            });
        if is_newest {
            self.cache.insert(key.to_owned(), held);
        }
    }

    /// Drops what is older than `version`, and lets nothing older in while a load may still bring it.
    ///
    /// Says whether there is room to remember that. If not, no load that is under way may be kept.
    pub(super) fn outdate(&self, key: &str, version: u64) -> bool {
        let _alone = self.alone(key);
        let is_noted = self.recent.note(key, version);
        self.cache.remove_if(key, |held| held.entry.version < version);
        is_noted
    }

    /// Whether a value of this version may still be the newest.
    pub(super) fn allows(&self, key: &str, version: u64) -> bool {
        self.recent.allows(key, version)
    }

    fn alone(&self, key: &str) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(key);
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or_default();
        self.stripes[stripe].lock()
    }
}
