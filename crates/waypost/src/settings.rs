//! The settings of every program, each as the program itself reads them, and what is this command's own: the development page.

use std::path::Path;

use common::config::{ConfigError, Hosts, OwnSettings, Review, Service, Settings as Shared, SettingsOf, WeakPart};
use email_worker::MailUrl;
use serde::Deserialize;

/// The settings of this command.
pub type Settings = SettingsOf<Own>;

/// The sections that this command alone reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Own {
    /// The development page.
    pub mail: Page,
}

/// What the development page reads of the section `mail`: where mails go, and the page's own keys.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Page {
    pub url: MailUrl,
    pub page_address: String,
    pub page_hosts: Hosts,
}

impl OwnSettings for Own {
    const SERVICE: Service = Service::Waypost;

    fn review(&self, _: &mut Review) {}
}

/// The settings of every program, all of them valid: each program would start with its own.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Programs {
    pub waypost: Settings,
    pub user_api: user_api::Settings,
    pub email_worker: email_worker::Settings,
    pub notification_gateway: notification_gateway::Settings,
    pub provider_sandbox: Shared,
}

impl Programs {
    /// Reads them from where each program reads its own.
    ///
    /// # Errors
    /// [`ConfigError`] of the first program that would not start; one about parts of development names those of all programs.
    pub fn load() -> Result<Self, ConfigError> {
        Self::of((
            Settings::load(),
            user_api::Settings::load(),
            email_worker::Settings::load(),
            notification_gateway::Settings::load(),
            Shared::load_shared(Service::ProviderSandbox),
        ))
    }

    /// As [`Self::load`], from a file and variables that are given.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_from(file: Option<&Path>, vars: &[(String, String)]) -> Result<Self, ConfigError> {
        let vars = || vars.to_vec();
        Self::of((
            Settings::load_from(file, vars()),
            user_api::Settings::load_from(file, vars()),
            email_worker::Settings::load_from(file, vars()),
            notification_gateway::Settings::load_from(file, vars()),
            Shared::load_shared_from(Service::ProviderSandbox, file, vars()),
        ))
    }

    fn of(
        (waypost, user_api, email_worker, notification_gateway, provider_sandbox): Each,
    ) -> Result<Self, ConfigError> {
        let mut parts = Vec::new();
        let read = (
            usable(waypost, &mut parts)?,
            usable(user_api, &mut parts)?,
            usable(email_worker, &mut parts)?,
            usable(notification_gateway, &mut parts)?,
            usable(provider_sandbox, &mut parts)?,
        );
        match read {
            (Some(waypost), Some(user_api), Some(email_worker), Some(notification_gateway), Some(provider_sandbox)) => {
                Ok(Self {
                    waypost,
                    user_api,
                    email_worker,
                    notification_gateway,
                    provider_sandbox,
                })
            }
            _ => Err(ConfigError::DevelopmentParts(parts)),
        }
    }

    /// The shared settings of the three services that have a database, each as that service reads them.
    pub fn with_database(&self) -> [(Service, &Shared); 3] {
        [
            (Service::UserApi, &*self.user_api),
            (Service::EmailWorker, &*self.email_worker),
            (Service::NotificationGateway, &*self.notification_gateway),
        ]
    }

    /// Makes the same change in the shared settings of every program.
    pub fn change_all(&mut self, change: impl Fn(&mut Shared)) {
        change(&mut self.waypost);
        change(&mut self.user_api);
        change(&mut self.email_worker);
        change(&mut self.notification_gateway);
        change(&mut self.provider_sandbox);
    }
}

/// What each program read, in the order of the fields of [`Programs`].
type Each = (
    Result<Settings, ConfigError>,
    Result<user_api::Settings, ConfigError>,
    Result<email_worker::Settings, ConfigError>,
    Result<notification_gateway::Settings, ConfigError>,
    Result<Shared, ConfigError>,
);

/// The settings of one program; `None` where parts of development keep it from starting. Those go to `parts`, once each: who
/// mends them is to read of all at once.
fn usable<T>(read: Result<T, ConfigError>, parts: &mut Vec<WeakPart>) -> Result<Option<T>, ConfigError> {
    match read {
        Ok(settings) => Ok(Some(settings)),
        Err(ConfigError::DevelopmentParts(found)) => {
            for part in found {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn owned<'a>(vars: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        vars.into_iter().map(owned).collect()
    }

    /// What `service` reads of these, as far as all share it.
    fn load(service: Service, vars: Vec<(String, String)>) -> Result<Shared, ConfigError> {
        match service {
            Service::UserApi => user_api::Settings::load_from(None, vars).map(|settings| Shared::clone(&settings)),
            Service::EmailWorker => {
                email_worker::Settings::load_from(None, vars).map(|settings| Shared::clone(&settings))
            }
            Service::NotificationGateway => {
                notification_gateway::Settings::load_from(None, vars).map(|settings| Shared::clone(&settings))
            }
            Service::ProviderSandbox | Service::Waypost => Shared::load_shared_from(service, None, vars),
        }
    }

    /// What production is given, with one part other than that.
    fn in_production(service: Service, other: (&str, &str)) -> Result<Shared, ConfigError> {
        let mut vars = BTreeMap::from([
            ("WAYPOST__PROFILE", "production"),
            ("WAYPOST__MAIL__URL", "smtp://mail.example.com"),
            ("WAYPOST__STORE__URL", "redis://redis.example.com"),
            ("WAYPOST__PROVIDERS__SMS__URL", "https://sms.example.com"),
            ("WAYPOST__PROVIDERS__SMS__ACCOUNT", "AC1"),
            ("WAYPOST__PROVIDERS__SMS__TOKEN", "a real one"),
        ]);
        vars.insert(other.0, other.1);
        load(service, owned(vars))
    }

    #[test]
    fn the_built_in_values_are_valid_for_every_program() {
        Programs::load_from(None, &[]).unwrap();
        user_api::Settings::for_tests();
        email_worker::Settings::for_tests();
        notification_gateway::Settings::for_tests();
    }

    #[test]
    fn a_value_that_one_program_can_not_use_is_refused_before_any_is_started() {
        for (key, value, named) in [
            (
                "WAYPOST__ACCOUNTS__SESSIONS__SWEEP_EVERY_MS",
                "99",
                "accounts.sessions.sweep_every_ms",
            ),
            (
                "WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB",
                "much",
                "accounts.argon2.memory_kib",
            ),
            (
                "WAYPOST__PROVIDERS__SMS__TRY_TIMEOUT_MS",
                "12000",
                "providers.sms.try_timeout_ms",
            ),
            (
                "WAYPOST__PROVIDERS__SMS__CALL_TIMEOUT_MS",
                "-1",
                "providers.sms.call_timeout_ms",
            ),
            ("WAYPOST__MAIL__URL", "smtp://mail.test?tsl=required", "mail.url"),
            ("WAYPOST__MAIL__PAGE_HOSTS", "http://dev.test", "mail.page_hosts"),
            ("WAYPOST__MAIL__FROM", "nobody", "mail.from"),
            (
                "WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB",
                "1",
                "accounts.argon2.memory_kib",
            ),
            ("WAYPOST__AUTH__JWKS_URL", "localhost:8080", "auth.jwks_url"),
            ("WAYPOST__TELEMETRY__LOG_FILTER", "waypost=loud", "telemetry.log_filter"),
            ("WAYPOST__BROKER__PREFETCH", "0", "broker.prefetch"),
            ("WAYPOST__EMAIL_WORKER__BROKER__PREFETCH", "100000", "broker.prefetch"),
        ] {
            let refused = Programs::load_from(None, &owned([(key, value)])).unwrap_err();
            assert!(refused.to_string().contains(&format!("`{named}`")), "{refused}");
        }
    }

    #[test]
    fn production_refuses_each_part_of_development_where_it_is_used_and_says_the_cure() {
        let services = Service::WITH_DATABASE;
        let parts: [(&str, &str, &str, &[Service]); 6] = [
            ("WAYPOST__MAIL__URL", "file://mail", "mail.url", &services[1..2]),
            (
                "WAYPOST__STORE__URL",
                "memory://",
                "store.url",
                &[services[0], services[2]],
            ),
            (
                "WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL",
                "http://127.0.0.1:8090",
                "providers.breached_passwords.url",
                &services[..1],
            ),
            (
                "WAYPOST__PROVIDERS__SMS__URL",
                "http://127.0.0.1:8090",
                "providers.sms.url",
                &services[2..],
            ),
            (
                "WAYPOST__PROVIDERS__SMS__ACCOUNT",
                "AC-development",
                "providers.sms.account",
                &services[2..],
            ),
            (
                "WAYPOST__PROVIDERS__SMS__TOKEN",
                "development",
                "providers.sms.token",
                &services[2..],
            ),
        ];
        for service in services {
            for (variable, value, key, users) in parts {
                let loaded = in_production(service, (variable, value));
                if users.contains(&service) {
                    let error = loaded.unwrap_err().to_string();
                    assert!(error.contains(&format!("`{key}`: ")), "{service} {key}: {error}");
                    assert!(error.contains("process.allow_development_parts"), "{error}");
                } else {
                    // The others have no use for it, and need not be given it.
                    loaded.unwrap();
                }
            }
        }
        for empty in ["", " "] {
            let loaded = in_production(Service::NotificationGateway, ("WAYPOST__PROVIDERS__SMS__TOKEN", empty));
            assert!(loaded.unwrap_err().to_string().contains("providers.sms.token"));
        }
    }

    #[test]
    fn one_start_names_the_parts_of_development_of_all_programs() {
        let production = owned([("WAYPOST__PROFILE", "production")]);
        let refused = Programs::load_from(None, &production).unwrap_err().to_string();
        for key in [
            "store.url",
            "mail.url",
            "providers.sms.url",
            "providers.sms.account",
            "providers.sms.token",
        ] {
            assert_eq!(refused.matches(&format!("\n  `{key}`: ")).count(), 1, "{refused}");
        }
        assert_eq!(
            refused.matches("process.allow_development_parts").count(),
            1,
            "{refused}"
        );
    }

    #[test]
    fn a_staging_may_have_them_and_each_is_told() {
        let production = ("WAYPOST__PROFILE", "production");
        let refused = load(Service::NotificationGateway, owned([production])).unwrap_err();
        assert_eq!(refused.to_string().matches("\n  `").count(), 4, "{refused}");
        let allowed = ("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true");
        let settings = load(Service::NotificationGateway, owned([production, allowed])).unwrap();
        assert_eq!(settings.development_parts().len(), 4);
        let development = load(Service::NotificationGateway, vec![]).unwrap();
        assert!(development.development_parts().is_empty());
    }
}
