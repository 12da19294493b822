//! From the layers to settings that can be used: the one way, for every binary and every command.

use std::path::Path;

use config::Config;

use super::forms::refuse_other_forms;
use super::layers::{merge, merged};
use super::own::{OwnSettings, SettingsOf};
use super::parameters::write_parameters;
use super::review::Review;
use super::settings::Settings;
use super::{ConfigError, Service};

impl<Own: OwnSettings> SettingsOf<Own> {
    /// Reads the program's settings from the built-in defaults, `./waypost.toml` and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] when a key is unknown, a value has the wrong form, or a rule between values does not hold.
    pub fn load() -> Result<Self, ConfigError> {
        Self::read(merged(Own::SERVICE)?)
    }

    /// As [`Self::load`], from a file and variables that are given.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_from(file: Option<&Path>, vars: Vec<(String, String)>) -> Result<Self, ConfigError> {
        Self::read(merge(Own::SERVICE, file, vars)?)
    }

    fn read(merged: Config) -> Result<Self, ConfigError> {
        let own = |merged: Config, review: &mut Review| {
            let own: Own = merged.try_deserialize().map_err(ConfigError::Value)?;
            own.review(review);
            Ok(own)
        };
        let (shared, own) = read(Own::SERVICE, merged, own)?;
        Ok(Self { shared, own })
    }
}

impl Settings {
    /// As [`SettingsOf::load`], for a program that has nothing of its own.
    ///
    /// # Errors
    /// As [`SettingsOf::load`].
    pub fn load_shared(service: Service) -> Result<Self, ConfigError> {
        read(service, merged(service)?, |_, _| Ok(())).map(|(shared, ())| shared)
    }

    /// As [`Self::load_shared`], from a file and variables that are given.
    ///
    /// # Errors
    /// As [`SettingsOf::load`].
    pub fn load_shared_from(
        service: Service,
        file: Option<&Path>,
        vars: Vec<(String, String)>,
    ) -> Result<Self, ConfigError> {
        read(service, merge(service, file, vars)?, |_, _| Ok(())).map(|(shared, ())| shared)
    }
}

/// Reads the sections that several share and, by `own`, those that one program has of its own; looks at them all.
fn read<T>(
    service: Service,
    mut merged: Config,
    own: impl FnOnce(Config, &mut Review) -> Result<T, ConfigError>,
) -> Result<(Settings, T), ConfigError> {
    write_parameters(&mut merged)?;
    refuse_other_forms(&merged)?;
    let mut shared: Settings = merged.clone().try_deserialize().map_err(ConfigError::Value)?;
    if shared.store.prefix.is_empty() {
        shared.store.prefix.clone_from(&shared.broker.namespace);
    }
    let mut review = Review::new(service, shared.profile);
    shared.review(&mut review);
    let own = own(merged.clone(), &mut review)?;
    shared.weaknesses = review.end(shared.process.allow_development_parts)?;
    Ok((shared, own))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::BrokerUrl;

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
    fn a_limit_a_proxy_or_a_host_that_can_t_be_is_named() {
        for (key, value, named) in [
            ("WAYPOST__LIMITS__LOGIN__RATE", "0", "limits.login.rate"),
            ("WAYPOST__LIMITS__MAIL__BURST", "0", "limits.mail.burst"),
            ("WAYPOST__LIMITS__READ__ALGORITHM", "bucket", "limits.read.algorithm"),
            ("WAYPOST__HTTP__TRUSTED_PROXIES", "0.0.0.0/0", "http.trusted_proxies"),
            ("WAYPOST__HTTP__TRUSTED_PROXIES", "proxy", "http.trusted_proxies"),
            (
                "WAYPOST__OPERATIONS__ALLOWED_HOSTS",
                "http://dev.example",
                "operations.allowed_hosts",
            ),
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
            ("WAYPOST__BROKER__PREFETCH", "1.5", "broker.prefetch"),
            ("WAYPOST__BROKER__PREFETCH", "yes", "broker.prefetch"),
            (
                "WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__PRIORITY",
                "yes",
                "providers.sms.also.backup.priority",
            ),
        ] {
            let error = with(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_rate_of_any_class_may_be_less_than_one() {
        for class in ["READ", "WRITE", "LOGIN", "SIGN_UP", "MAIL", "PUBLIC", "CALLBACK"] {
            let settings = with(&[(&format!("WAYPOST__LIMITS__{class}__RATE"), "0.5")]);
            assert!(settings.is_ok(), "{settings:?}");
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
}
