//! A layer of settings as a table: read, and walked key by key.

use config::{Config, Map, Source, Value, ValueKind};

use super::ConfigError;

pub(super) fn parse(source: &(impl Source + Clone + Send + Sync + 'static)) -> Result<Map<String, Value>, ConfigError> {
    Config::builder()
        .add_source(source.clone())
        .build()
        .and_then(|built| built.cache.into_table())
        .map_err(ConfigError::Value)
}

/// Shows `visit` each value of a table, below the section `path`, with its whole key.
pub(super) fn flatten(table: &Map<String, Value>, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = below(path, name);
        match &value.kind {
            ValueKind::Table(inner) => flatten(inner, &key, visit),
            _ => visit(&key, value),
        }
    }
}

/// The key of `name` in the section `path`.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
