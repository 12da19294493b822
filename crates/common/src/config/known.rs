//! The keys that there are, and the values that are built in.

use std::collections::BTreeSet;

use config::{File, FileFormat, Map, Value, ValueKind};
use strsim::levenshtein;

use super::table::{flatten, parse};
use super::{ConfigError, Service};

const DEFAULTS: &str = include_str!("defaults.toml");
/// Stands in the built-in settings for a name that whoever sets them chooses.
const NAME: &str = "<name>";

/// The keys that there are.
pub(super) struct Known {
    keys: BTreeSet<String>,
}

impl Known {
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| is_of(known, key))
    }

    /// Refuses a layer with a key that is none of them, and names the nearest.
    pub(super) fn refuse_others(&self, layer: &Map<String, Value>) -> Result<(), ConfigError> {
        let mut found = None;
        flatten(layer, "", &mut |key, value| {
            if found.is_none() && !self.has(shared_key(key)) {
                found = Some((key.to_owned(), value.origin().unwrap_or("settings").to_owned()));
            }
        });
        let Some((key, origin)) = found else { return Ok(()) };
        let nearest = self
            .keys
            .iter()
            .map(|candidate| with_names_of(candidate, shared_key(&key)))
            .map(|candidate| (levenshtein(&candidate, shared_key(&key)), candidate))
            .min()
            .filter(|(distance, _)| *distance <= 4);
        Err(ConfigError::Unknown {
            hint: nearest
                .map(|(_, key)| format!(", did you mean `{key}`?"))
                .unwrap_or_default(),
            key,
            origin,
        })
    }
}

/// Whether `key` is the known one, or that with names of its own.
pub(super) fn is_of(known: &str, key: &str) -> bool {
    known == key || known.contains(NAME) && with_names_of(known, key) == key
}

/// A known key with the names that `key` has where it says [`NAME`].
fn with_names_of(known: &str, key: &str) -> String {
    let mut given = key.split('.');
    let segment = |known: &'_ str| {
        let given = given.next();
        given.filter(|_| known == NAME).unwrap_or(known).to_owned()
    };
    known.split('.').map(segment).collect::<Vec<_>>().join(".")
}

/// The built-in settings with each [`NAME`] that stands for others.
pub(super) fn written() -> Result<Map<String, Value>, ConfigError> {
    parse(&File::from_str(DEFAULTS, FileFormat::Toml))
}

/// The built-in settings, and the keys that there are; what has a [`NAME`] is only known, and has no value.
pub(super) fn built_in() -> Result<(Map<String, Value>, Known), ConfigError> {
    let mut defaults = written()?;
    let mut keys = BTreeSet::new();
    flatten(&defaults, "", &mut |key, _| {
        keys.insert(shared_key(key).to_owned());
    });
    drop_named(&mut defaults);
    Ok((defaults, Known { keys }))
}

fn drop_named(table: &mut Map<String, Value>) {
    table.remove(NAME);
    for value in table.values_mut() {
        if let ValueKind::Table(inner) = &mut value.kind {
            drop_named(inner);
        }
    }
}

/// Takes a service's name off the front of a key.
pub(super) fn shared_key(key: &str) -> &str {
    Service::ALL
        .iter()
        .find_map(|service| key.strip_prefix(service.identifier())?.strip_prefix('.'))
        .unwrap_or(key)
}
