//! Keys whose change could not be written to the store: what stands there may be old, until it is repaired.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::versions::Versions;

#[derive(Default)]
pub(super) struct Repairs {
    /// With too many of them, all that stands in the store is taken for old.
    marked: Mutex<Versions>,
    /// How many are marked, for readers, who look at each read.
    count: AtomicUsize,
    added: Notify,
}

/// What is to be repaired.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// These keys, where what stands is older than these versions.
    Keys(Vec<(String, u64)>),
    /// Everything.
    All,
}

impl Repairs {
    /// Marks a key: what stands in the store may be older than `version`.
    pub(super) fn mark(&self, key: &str, version: u64) {
        let mut marked = self.lock();
        marked.add(key, version);
        self.counted(&marked);
        drop(marked);
        self.added.notify_one();
    }

    /// Takes the mark off a key: nothing older than `version` stands in the store any more.
    pub(super) fn done(&self, key: &str, version: u64) {
        if self.count.load(Relaxed) == 0 {
            return;
        }
        let mut marked = self.lock();
        if marked.keys.get(key).is_some_and(|known| *known <= version) {
            marked.keys.remove(key);
        }
        self.counted(&marked);
    }

    /// Takes off every mark, before an epoch is raised that makes all that stands in the store old.
    pub(super) fn all_done(&self) {
        let mut marked = self.lock();
        *marked = Versions::default();
        self.counted(&marked);
    }

    /// Marks everything: all that stands in the store may be old.
    pub(super) fn mark_all(&self) {
        let mut marked = self.lock();
        marked.all = true;
        self.counted(&marked);
        drop(marked);
        self.added.notify_one();
    }

    /// Whether what stands in the store under this key may be old.
    pub(super) fn hold(&self, key: &str) -> bool {
        if self.count.load(Relaxed) == 0 {
            return false;
        }
        let marked = self.lock();
        marked.all || marked.keys.contains_key(key)
    }

    /// How many keys wait.
    pub(super) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// What is to be repaired; waits until there is something.
    pub(super) async fn due(&self) -> Repair {
        loop {
            let added = self.added.notified();
            {
                let marked = self.lock();
                if marked.all {
                    return Repair::All;
                }
                if !marked.keys.is_empty() {
                    return Repair::Keys(
                        marked
                            .keys
                            .iter()
                            .map(|(key, version)| (key.clone(), *version))
                            .collect(),
                    );
                }
            }
            added.await;
        }
    }

    fn counted(&self, marked: &Versions) {
        self.count.store(marked.keys.len() + usize::from(marked.all), Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.marked.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::super::versions::MAX_KEYS;
    use super::*;

    #[tokio::test]
    async fn a_key_is_held_until_what_stands_is_as_new() {
        let repairs = Repairs::default();
        repairs.mark("a", 3);
        repairs.mark("a", 2);
        assert!(repairs.hold("a") && !repairs.hold("b"));
        assert_eq!(repairs.due().await, Repair::Keys(vec![("a".to_owned(), 3)]));
        repairs.done("a", 2);
        assert!(repairs.hold("a"));
        repairs.done("a", 3);
        assert!(!repairs.hold("a"));
    }

    #[tokio::test]
    async fn more_than_fit_hold_everything() {
        let repairs = Repairs::default();
        for n in 0..=MAX_KEYS {
            repairs.mark(&n.to_string(), 1);
        }
        assert!(repairs.hold("whatever"));
        assert_eq!(repairs.due().await, Repair::All);
        repairs.all_done();
        assert!(!repairs.hold("whatever"));
    }
}
