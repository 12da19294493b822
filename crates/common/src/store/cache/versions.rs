//! Keys with the newest version of each that is known, in a bounded number.

use std::collections::HashMap;

/// Most keys that are remembered. With one more, any key may be meant.
pub(super) const MAX_KEYS: usize = 10_000;

/// The newest version of each key.
#[derive(Default)]
pub(super) struct Versions {
    pub(super) keys: HashMap<String, u64>,
    /// There were more keys than fit, so any key may be meant.
    pub(super) all: bool,
}

impl Versions {
    /// Remembers that the key has this version, unless a newer one is known.
    pub(super) fn add(&mut self, key: &str, version: u64) {
        if let Some(known) = self.keys.get_mut(key) {
            *known = version.max(*known);
        } else if self.keys.len() < MAX_KEYS {
            self.keys.insert(key.to_owned(), version);
        } else {
            self.all = true;
        }
    }
}
