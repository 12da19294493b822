//! Which versions of a key this process knows to exist, for as long as a load from before may still be on its way.

use std::collections::HashMap;

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Longer than any load takes, its wait for a lock included.
const LOADS_TAKE: Duration = Duration::from_secs(5);
/// Keys that are remembered; some 10 MB.
const MAX_KEYS: usize = 50_000;

#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<String, Known>>);

#[derive(Clone, Copy)]
struct Known {
    version: u64,
    until: Instant,
}

impl Recent {
    /// Remembers that `version` of the key exists. False: there is no room for it, and all of them were forgotten.
    pub(super) fn note(&self, key: &str, version: u64) -> bool {
        let now = Instant::now();
        let until = now + LOADS_TAKE;
        let mut known = self.0.lock();
        if let Some(known) = known.get_mut(key) {
            known.version = known.version.max(version);
            known.until = until;
            return true;
        }
        if known.len() >= MAX_KEYS {
            known.retain(|_, known| known.until > now);
        }
        if known.len() >= MAX_KEYS {
            known.clear();
            return false;
        }
        known.insert(key.to_owned(), Known { version, until });
        true
    }

    /// Whether no newer version was heard of while a load from before may be on its way.
    pub(super) fn allows(&self, key: &str, version: u64) -> bool {
        let known = self.0.lock();
        let is_over = |known: &Known| known.until <= Instant::now();
        known
            .get(key)
            .is_none_or(|known| known.version <= version || is_over(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_is_not_allowed_beside_a_newer_one() {
        let recent = Recent::default();
        assert!(recent.allows("a", 0));
        assert!(recent.note("a", 3) && recent.note("a", 2));
        assert!(!recent.allows("a", 2));
        assert!(recent.allows("a", 3) && recent.allows("b", 1));
    }

    #[test]
    fn more_keys_than_there_is_room_for_are_said() {
        let recent = Recent::default();
        let noted = (0..=MAX_KEYS).filter(|n| recent.note(&n.to_string(), 1)).count();
        assert_eq!(noted, MAX_KEYS);
    }
}
