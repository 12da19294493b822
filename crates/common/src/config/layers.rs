//! Puts the layers of settings together: defaults, those of the profile, the file, the environment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use config::{Config, Environment, File, FileFormat, Map, Source, Value, ValueKind};
use strsim::levenshtein;

use super::parameters::written;
use super::settings::Profile;
use super::{ConfigError, Service};

const DEFAULTS: &str = include_str!("defaults.toml");
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
        refuse_unknown(layer, &known)?;
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

fn parse(source: &(impl Source + Clone + Send + Sync + 'static)) -> Result<Map<String, Value>, ConfigError> {
    Config::builder()
        .add_source(source.clone())
        .build()
        .and_then(|built| built.cache.into_table())
        .map_err(ConfigError::Value)
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

/// Stands in the built-in settings for a name that whoever sets them chooses.
const NAME: &str = "<name>";

/// The keys that there are.
struct Known {
    keys: BTreeSet<String>,
}

impl Known {
    fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
            || self
                .keys
                .iter()
                .any(|known| known.contains(NAME) && with_names_of(known, key) == key)
    }
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

/// The built-in settings, and the keys that there are; what has a [`NAME`] is only known, and has no value.
fn built_in() -> Result<(Map<String, Value>, Known), ConfigError> {
    let mut defaults = parse(&File::from_str(DEFAULTS, FileFormat::Toml))?;
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

fn refuse_unknown(layer: &Map<String, Value>, known: &Known) -> Result<(), ConfigError> {
    let mut found = None;
    flatten(layer, "", &mut |key, value| {
        if found.is_none() && !known.has(shared_key(key)) {
            found = Some((key.to_owned(), value.origin().unwrap_or("settings").to_owned()));
        }
    });
    let Some((key, origin)) = found else { return Ok(()) };
    let nearest = known
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

/// Takes a service's name off the front of a key.
fn shared_key(key: &str) -> &str {
    Service::ALL
        .iter()
        .find_map(|service| key.strip_prefix(service.identifier())?.strip_prefix('.'))
        .unwrap_or(key)
}

/// Has the parameters of all URLs written as the libraries want them, and refuses those that would be passed over.
pub(super) fn write_parameters(merged: &mut Config) -> Result<(), ConfigError> {
    fn write(value: &mut Value, key: &str) -> Result<(), ConfigError> {
        match &mut value.kind {
            ValueKind::Table(table) => {
                let mut inner = table.iter_mut();
                inner.try_for_each(|(name, value)| write(value, &below(key, name)))
            }
            ValueKind::String(text) if key.ends_with("url") => {
                *text = written(text).map_err(|problem| ConfigError::Rule {
                    key: key.to_owned(),
                    problem,
                })?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
    write(&mut merged.cache, "")
}

/// Refuses what is no number where the built-in value is one (`100`: a whole one, `100.0`: any), and the like for what is true or
/// false: also in sections that the program does not read, so that a file which all share is refused by each.
pub(super) fn refuse_other_forms(merged: &Config) -> Result<(), ConfigError> {
    let (defaults, _) = built_in()?;
    let mut first = Ok(());
    flatten(&defaults, "", &mut |key, built_in| {
        let found = match built_in.kind {
            _ if first.is_err() || shared_key(key) != key => return,
            ValueKind::I64(_) => merged.get::<u64>(key).err(),
            ValueKind::Float(_) => merged.get::<f64>(key).err(),
            ValueKind::Boolean(_) => merged.get::<bool>(key).err(),
            _ => None,
        };
        first = found.map_or(Ok(()), Err);
    });
    first.map_err(ConfigError::Value)
}

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
fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{BrokerUrl, Settings};

    fn with(vars: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let vars = vars
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::load_shared_from(Service::UserApi, None, vars)
    }

    #[test]
    fn the_built_in_values_are_valid_for_every_service() {
        for service in Service::ALL {
            Settings::load_shared_from(service, None, vec![]).unwrap();
            Settings::for_tests(service);
        }
    }

    #[test]
    fn a_service_has_its_own_port_and_the_environment_wins() {
        assert_eq!(with(&[]).unwrap().http.address, "127.0.0.1:8080");
        let own = ("WAYPOST__USER_API__HTTP__ADDRESS", "127.0.0.1:2");
        assert_eq!(
            with(&[("WAYPOST__NOTIFICATION_GATEWAY__HTTP__ADDRESS", "127.0.0.1:3"), own])
                .unwrap()
                .http
                .address,
            "127.0.0.1:2"
        );
    }

    #[test]
    fn a_variable_for_all_beats_a_built_in_value_for_one() {
        assert_eq!(
            with(&[("WAYPOST__HTTP__ADDRESS", "127.0.0.1:1")]).unwrap().http.address,
            "127.0.0.1:1"
        );
    }

    #[test]
    fn a_typing_error_names_the_key_and_its_neighbour() {
        let error = with(&[("WAYPOST__HTTP__ADRESS", "x")]).unwrap_err().to_string();
        assert!(
            error.contains("http.adress") && error.contains("http.address"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_value_names_its_key() {
        let error = with(&[("WAYPOST__BROKER__PREFETCH", "many")]).unwrap_err().to_string();
        assert!(error.contains("broker.prefetch"), "{error}");
        let error = with(&[("WAYPOST__PROFILE", "prod")]).unwrap_err().to_string();
        assert!(error.contains("`profile`") && error.contains("production"), "{error}");
    }

    #[test]
    fn production_trusts_no_caller_s_trace_unless_it_is_told_to() {
        let trusts = |vars: &[(&str, &str)]| with(vars).unwrap().telemetry.trust_callers;
        let production = [
            ("WAYPOST__PROFILE", "production"),
            ("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true"),
        ];
        assert!(trusts(&[]));
        assert!(!trusts(&production));
        let told = ("WAYPOST__TELEMETRY__TRUST_CALLERS", "true");
        assert!(trusts(&[&production[..], &[told]].concat()));
    }

    #[test]
    fn profile_test_limits_nobody_unless_a_number_of_the_class_is_set() {
        let limits = |vars: &[(&str, &str)]| with(&[&[("WAYPOST__PROFILE", "test")], vars].concat()).unwrap().limits;
        assert!(limits(&[]).login.burst > 100_000);
        assert!(
            limits(&[("WAYPOST__LIMITS__LOGIN__ALGORITHM", "leaky_bucket")])
                .login
                .burst
                > 100_000
        );
        let set = limits(&[("WAYPOST__USER_API__LIMITS__LOGIN__RATE", "30")]);
        assert_eq!((set.login.rate.to_bits(), set.login.burst), (30_f64.to_bits(), 10));
        assert!(set.read.burst > 100_000);
    }

    #[test]
    fn a_limit_or_a_proxy_that_can_t_be_is_named() {
        for (key, value, named) in [
            ("WAYPOST__LIMITS__LOGIN__RATE", "0", "limits.login.rate"),
            ("WAYPOST__LIMITS__MAIL__BURST", "0", "limits.mail.burst"),
            ("WAYPOST__LIMITS__READ__ALGORITHM", "bucket", "limits.read.algorithm"),
            ("WAYPOST__HTTP__TRUSTED_PROXIES", "0.0.0.0/0", "http.trusted_proxies"),
            ("WAYPOST__HTTP__TRUSTED_PROXIES", "proxy", "http.trusted_proxies"),
        ] {
            let error = with(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_value_of_another_form_is_refused_also_in_a_section_of_another_program() {
        for (key, value, named) in [
            (
                "WAYPOST__PROVIDERS__SMS__TRY_TIMEOUT_MS",
                "soon",
                "providers.sms.try_timeout_ms",
            ),
            (
                "WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB",
                "much",
                "accounts.argon2.memory_kib",
            ),
            (
                "WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS",
                "maybe",
                "process.allow_development_parts",
            ),
        ] {
            let error = with(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn text_and_secrets_are_taken_as_they_are() {
        // A number for a text keeps its plus sign.
        let settings = with(&[("WAYPOST__STORE__PREFIX", "+15550100")]).unwrap();
        assert_eq!(settings.store.prefix, "+15550100");
        let file = std::env::temp_dir().join(format!("waypost-secret-{}", std::process::id()));
        std::fs::write(&file, "postgres://from-file\n").unwrap();
        let settings = with(&[("WAYPOST__DATABASE__URL_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.database.url.expose_secret(), "postgres://from-file");
        let twice = with(&[
            ("WAYPOST__DATABASE__URL_FILE", file.to_str().unwrap()),
            ("WAYPOST__DATABASE__URL", "postgres://from-variable"),
        ]);
        assert!(matches!(twice, Err(ConfigError::Twice { .. })), "{twice:?}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn every_node_of_a_broker_is_looked_at() {
        let broker = |url| with(&[("WAYPOST__BROKER__URL", url)]);
        let error = broker("amqp://one, amqps://two?Hartbeat=5").unwrap_err().to_string();
        assert!(
            error.contains("`broker.url`") && error.contains("`hartbeat`"),
            "{error}"
        );
        let settings = broker("amqp://one?Heartbeat=5, amqps://two").unwrap();
        let BrokerUrl::Nodes(nodes) = settings.broker.url else {
            panic!("not in memory");
        };
        assert_eq!(nodes.expose_secret(), "amqp://one?heartbeat=5,amqps://two");
        let error = broker("amqp://one,two?Hartbeat=5").unwrap_err().to_string();
        assert!(error.contains("`hartbeat`"), "{error}");
    }

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
