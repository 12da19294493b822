//! Puts the layers of settings together: defaults, those of the profile, the file, the environment.

use std::ffi::OsString;
use std::path::Path;

use config::{Config, Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::known::{Known, built_in, shared_key};
use super::settings::Profile;
use super::table::parse;
use super::{ConfigError, Service};

const TEST_PROFILE: &str = include_str!("test.toml");
const PRODUCTION_PROFILE: &str = include_str!("production.toml");
/// Settings file that is read from the working directory when it is there.
const FILE: &str = "waypost.toml";
const PREFIX: &str = "WAYPOST";
const SEPARATOR: &str = "__";

/// The settings as they are written, each with where it came from: the built-in defaults, `./waypost.toml`, the environment.
pub(super) fn merged(service: Service) -> Result<Config, ConfigError> {
    let file = Path::new(FILE);
    merge(service, file.exists().then_some(file), variables(std::env::vars_os())?)
}

/// Those of the environment that are ours: the others are not read, and may be no text.
fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    let ours = format!("{PREFIX}{SEPARATOR}");
    let is_ours = |name: &OsString| name.as_encoded_bytes().starts_with(ours.as_bytes());
    let text = |(name, value): (OsString, OsString)| {
        let shown = name.to_string_lossy().into_owned();
        let (name, value) = (name.into_string(), value.into_string());
        name.and_then(|name| Ok((name, value?)))
            .map_err(|_| ConfigError::NotText { key: shown })
    };
    all.filter(|(name, _)| is_ours(name)).map(text).collect()
}

/// As [`merged`], from a file and variables that are given.
pub(super) fn merge(service: Service, file: Option<&Path>, vars: Vec<(String, String)>) -> Result<Config, ConfigError> {
    let (defaults, known) = built_in()?;
    let file = match file {
        Some(path) => parse(&File::from(path).format(FileFormat::Toml))?,
        None => Map::new(),
    };
    let environment = environment(vars, &known)?;
    for layer in [&file, &environment] {
        known.refuse_others(layer)?;
    }

    let mut layers = split(defaults, service);
    match profile(&[&file, &environment], service)? {
        Profile::Development => {}
        Profile::Test => {
            let mut test = parse(&File::from_str(TEST_PROFILE, FileFormat::Toml))?;
            for layer in [&file, &environment]
                .into_iter()
                .flat_map(|layer| split(layer.clone(), service))
            {
                leave_limits_that_are_set(&mut test, &layer);
            }
            layers.extend(split(test, service));
        }
        Profile::Production => {
            let production = parse(&File::from_str(PRODUCTION_PROFILE, FileFormat::Toml))?;
            layers.extend(split(production, service));
        }
    }
    layers.extend(split(file, service));
    layers.extend(split(environment, service));

    layers
        .into_iter()
        .fold(Config::builder(), |builder, layer| builder.add_source(Layer(layer)))
        .build()
        .map_err(ConfigError::Value)
}

/// Drops the limits of profile `test` whose rate or burst `layer` sets: a low rate beside a burst that nobody meets
/// would limit nobody.
fn leave_limits_that_are_set(test: &mut Map<String, Value>, layer: &Map<String, Value>) {
    let table = |value: &Value| value.clone().into_table().ok();
    let Some(set) = layer.get("limits").and_then(table) else {
        return;
    };
    let Some(ValueKind::Table(limits)) = test.get_mut("limits").map(|limits| &mut limits.kind) else {
        return;
    };
    limits.retain(|class, _| {
        let numbers = set.get(class).and_then(table);
        numbers.is_none_or(|numbers| !numbers.contains_key("rate") && !numbers.contains_key("burst"))
    });
}

/// One layer that was read already.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The variables of ours as a layer; `.._FILE` is replaced by what stands in the file.
fn environment(vars: Vec<(String, String)>, known: &Known) -> Result<Map<String, Value>, ConfigError> {
    let mut values = Map::new();
    for (key, value) in vars {
        let Some(path) = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(SEPARATOR)) else {
            continue;
        };
        let path = shared_key(&path.to_lowercase().replace(SEPARATOR, ".")).to_owned();
        let is_file = !known.has(&path) && path.strip_suffix("_file").is_some_and(|base| known.has(base));
        let (name, text) = if is_file {
            let text = std::fs::read_to_string(&value).map_err(|source| ConfigError::SecretFile {
                key: key.clone(),
                source,
            })?;
            (key[..key.len() - "_FILE".len()].to_owned(), text.trim_end().to_owned())
        } else {
            (key, value)
        };
        if values.insert(name.clone(), text).is_some() {
            return Err(ConfigError::Twice { key: name });
        }
    }
    // No `try_parsing`: it would read a telephone number as an integer and drop its plus sign.
    parse(
        &Environment::with_prefix(PREFIX)
            .prefix_separator(SEPARATOR)
            .separator(SEPARATOR)
            .source(Some(values)),
    )
}

/// The shared sections of a layer, then the service's own over them.
fn split(mut layer: Map<String, Value>, service: Service) -> Vec<Map<String, Value>> {
    let mut own = None;
    for other in Service::ALL {
        let table = layer.remove(other.identifier());
        if other == service {
            own = table.and_then(|value| value.into_table().ok());
        }
    }
    std::iter::once(layer).chain(own).collect()
}

fn profile(layers: &[&Map<String, Value>], service: Service) -> Result<Profile, ConfigError> {
    let mut profile = Profile::Development;
    for layer in layers.iter().flat_map(|layer| split((*layer).clone(), service)) {
        if let Some(value) = layer.get("profile") {
            profile = value.clone().try_deserialize().map_err(|_| ConfigError::Rule {
                key: "profile".to_owned(),
                problem: format!("must be development, test or production, and is `{value}`"),
            })?;
        }
    }
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn variables_that_are_not_ours_need_not_be_text() {
        let no_text = || OsString::from_vec(vec![0xff, b'x']);
        let all = [
            (OsString::from("LESSOPEN"), no_text()),
            (no_text(), OsString::from("x")),
            (OsString::from("WAYPOST_TEST"), no_text()),
            (OsString::from("WAYPOST__PROFILE"), OsString::from("test")),
        ];
        let ours = variables(all.clone().into_iter()).unwrap();
        assert_eq!(ours, [("WAYPOST__PROFILE".to_owned(), "test".to_owned())]);
        let named = (OsString::from("WAYPOST__MAIL__FROM"), no_text());
        let error = variables(all.into_iter().chain([named])).unwrap_err().to_string();
        assert!(error.contains("WAYPOST__MAIL__FROM"), "{error}");
    }
}
