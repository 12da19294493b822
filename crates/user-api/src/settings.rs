//! What is this service's own in the settings: accounts and their sessions. `defaults.toml` says what each key is for.

use std::time::Duration;

use argon2::{Error, Params};
use common::config::{
    HttpUrl, OwnSettings, Review, Service, SettingsOf, leads_elsewhere, leads_to_own_port, millis, seconds,
};
use serde::Deserialize;

/// What `defaults.toml` has for the breached passwords: the sandbox's port on this machine.
const SANDBOX_PORT: u16 = 8090;

/// The settings of this service.
pub type Settings = SettingsOf<Own>;

/// The sections that this service alone reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Own {
    /// Accounts.
    pub accounts: Accounts,
    /// External providers.
    pub providers: Providers,
}

/// External providers.
#[derive(Debug, Clone, Deserialize)]
pub struct Providers {
    /// Who knows which passwords were breached.
    pub breached_passwords: BreachedPasswords,
}

/// Who knows which passwords were breached.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct BreachedPasswords {
    pub url: String,
    #[serde(rename = "timeout_ms", deserialize_with = "millis")]
    pub timeout: Duration,
}

/// What becomes of a new password that is known from a breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BreachedPolicy {
    /// It is refused.
    Refuse,
    /// It is taken, and the log and the metrics say so.
    Warn,
    /// Nobody looks.
    Off,
}

/// Accounts.
#[derive(Debug, Clone, Deserialize)]
pub struct Accounts {
    /// What becomes of a new password that is known from a breach.
    pub breached_passwords: BreachedPolicy,
    /// Cost of one password hash.
    pub argon2: Argon2,
    /// How long sessions live.
    pub sessions: Sessions,
}

/// Cost of one password hash.
#[derive(Debug, Clone, Copy, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Argon2 {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Sessions {
    #[serde(rename = "lifetime_s", deserialize_with = "seconds")]
    pub lifetime: Duration,
    #[serde(rename = "sweep_every_ms", deserialize_with = "millis")]
    pub sweep_every: Duration,
}

impl OwnSettings for Own {
    const SERVICE: Service = Service::UserApi;

    fn review(&self, review: &mut Review) {
        if self.accounts.sessions.sweep_every < Duration::from_millis(100) {
            review.refuse("accounts.sessions.sweep_every_ms", "must be at least 100");
        }
        self.accounts.argon2.review(review);
        self.providers.breached_passwords.review(review);
    }
}

impl Argon2 {
    /// The cost as the library has it.
    pub(crate) fn params(&self) -> argon2::Result<Params> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, None)
    }

    fn review(&self, review: &mut Review) {
        let (key, problem) = match self.params() {
            Ok(_) => return,
            Err(Error::MemoryTooLittle) => ("accounts.argon2.memory_kib", "must be at least 8 times parallelism"),
            Err(Error::TimeTooSmall) => ("accounts.argon2.iterations", "must be at least 1"),
            Err(Error::ThreadsTooFew | Error::ThreadsTooMany) => {
                ("accounts.argon2.parallelism", "must be from 1 to 16777215")
            }
            Err(_) => ("accounts.argon2", "can't be worked with; the built-in values can"),
        };
        review.refuse(key, problem);
    }
}

impl BreachedPasswords {
    fn review(&self, review: &mut Review) {
        if !(Duration::from_millis(10)..=Duration::from_secs(10)).contains(&self.timeout) {
            review.refuse("providers.breached_passwords.timeout_ms", "must be from 10 to 10000");
        }
        let url = &self.url;
        if !url.is_empty() {
            review.wants_http("providers.breached_passwords.url", url, HttpUrl::WithUser);
        }
        if leads_to_own_port(url, SANDBOX_PORT) {
            review.serves_development(
                "providers.breached_passwords.url",
                "the sandbox knows few breached passwords; name the service, such as https://api.pwnedpasswords.com, or none",
            );
        }
        if leads_elsewhere(url, |url| url.scheme() == "http") {
            review.goes_in_clear(
                "providers.breached_passwords.url",
                "whoever is on the way can have any new password refused, or taken; use https://",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_not_swept_all_the_time() {
        let vars = vec![(
            "WAYPOST__ACCOUNTS__SESSIONS__SWEEP_EVERY_MS".to_owned(),
            "99".to_owned(),
        )];
        let refused = Settings::load_from(None, vars).unwrap_err().to_string();
        assert!(refused.contains("`accounts.sessions.sweep_every_ms`"), "{refused}");
    }

    fn with(vars: &[(&str, &str)]) -> Settings {
        let vars = vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::load_from(None, vars.collect()).unwrap()
    }

    #[test]
    fn a_cost_that_can_t_be_and_an_address_that_is_none_are_refused_and_named() {
        for (key, value, named) in [
            ("ACCOUNTS__ARGON2__MEMORY_KIB", "7", "accounts.argon2.memory_kib"),
            ("ACCOUNTS__ARGON2__ITERATIONS", "0", "accounts.argon2.iterations"),
            ("ACCOUNTS__ARGON2__PARALLELISM", "0", "accounts.argon2.parallelism"),
            ("ACCOUNTS__ARGON2__PARALLELISM", "100000", "accounts.argon2.memory_kib"),
            (
                "PROVIDERS__BREACHED_PASSWORDS__URL",
                "localhost:8090",
                "providers.breached_passwords.url",
            ),
            (
                "PROVIDERS__BREACHED_PASSWORDS__URL",
                "https://breached.test/?x=y",
                "providers.breached_passwords.url",
            ),
        ] {
            let vars = vec![(format!("WAYPOST__{key}"), value.to_owned())];
            let refused = Settings::load_from(None, vars).unwrap_err().to_string();
            assert!(refused.contains(&format!("`{named}`: ")), "{key}={value}: {refused}");
        }
        with(&[("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL", "http://[::1]:8090/")]);
    }

    #[test]
    fn new_passwords_are_looked_up_in_development_and_where_a_service_is_named() {
        let named = |vars: &[(&str, &str)]| {
            let own = with(vars).own;
            assert_eq!(own.accounts.breached_passwords, BreachedPolicy::Refuse);
            own.providers.breached_passwords.url
        };
        assert!(leads_to_own_port(&named(&[]), SANDBOX_PORT));
        let test = ("WAYPOST__PROFILE", "test");
        assert_eq!(named(&[test]), "");
        let url = ("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL", "http://127.0.0.1:1");
        assert_eq!(named(&[test, url]), url.1);
        let production = [
            ("WAYPOST__PROFILE", "production"),
            ("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true"),
        ];
        assert_eq!(named(&production), "");
        let clear = ("WAYPOST__PROVIDERS__BREACHED_PASSWORDS__URL", "http://breached.example");
        let settings = with(&[production[0], production[1], clear]);
        let keys: Vec<_> = settings
            .secrets_in_clear()
            .iter()
            .map(|part| part.key.clone())
            .collect();
        assert!(keys.contains(&"providers.breached_passwords.url".into()), "{keys:?}");
    }
}
