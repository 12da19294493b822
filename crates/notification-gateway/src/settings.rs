//! What is this service's own in the settings: whose tokens it takes, and the providers. `defaults.toml` says what each
//! key is for.

use std::collections::BTreeMap;
use std::time::Duration;

use common::config::{HttpUrl, OwnSettings, Review, Service, SettingsOf, leads_elsewhere, leads_to_own_port, millis};
use common::outbound::Rate;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// What `defaults.toml` has for the provider of SMS: the sandbox's port on this machine, and what it lets in.
const SANDBOX_PORT: u16 = 8090;
const SANDBOX_ACCOUNT: &str = "AC-development";
const SANDBOX_TOKEN: &str = "development";

/// The name that holds use for the first provider. So no other provider may have it.
const FIRST_PROVIDER: &str = "first";
/// Most providers beside the first.
const MOST_PROVIDERS: usize = 15;

/// The settings of this service.
pub type Settings = SettingsOf<Own>;

/// The sections that this service alone reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Own {
    /// How bearer tokens are checked.
    pub auth: Auth,
    /// External providers.
    pub providers: Providers,
}

/// How bearer tokens are checked.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Auth {
    pub jwks_url: String,
}

/// External providers.
#[derive(Debug, Clone, Deserialize)]
pub struct Providers {
    /// The SMS provider.
    pub sms: Sms,
}

/// SMS: the provider that the section itself has, and those beside it.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Sms {
    pub url: String,
    pub account: String,
    pub token: SecretString,
    pub sender: String,
    pub rate: f64,
    pub places: usize,
    #[serde(rename = "try_timeout_ms", deserialize_with = "millis")]
    pub try_timeout: Duration,
    #[serde(rename = "call_timeout_ms", deserialize_with = "millis")]
    pub call_timeout: Duration,
    pub after_unknown: AfterUnknown,
    pub weight: u32,
    #[serde(default)]
    pub also: BTreeMap<String, SmsProvider>,
}

/// One SMS provider.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct SmsProvider {
    pub url: String,
    pub account: String,
    pub token: SecretString,
    /// Empty: that of the first provider.
    #[serde(default)]
    pub sender: String,
    #[serde(default)]
    pub rate: f64,
    #[serde(default = "next_in_line")]
    pub priority: u32,
    #[serde(default = "one_part")]
    pub weight: u32,
}

const fn next_in_line() -> u32 {
    1
}

const fn one_part() -> u32 {
    1
}

/// What becomes of a message that a provider may have, when the provider did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterUnknown {
    /// The next provider gets it; where there is none, it is tried again by the schedule.
    Next,
    /// The same provider gets it again, by the schedule.
    Retry,
    /// The message counts as failed, and nobody gets it again.
    Stop,
}

impl Sms {
    /// The provider that the section itself has. Its priority is 0, so it comes first, unless another one has 0 as well.
    pub fn first(&self) -> SmsProvider {
        SmsProvider {
            url: self.url.clone(),
            account: self.account.clone(),
            token: self.token.clone(),
            sender: self.sender.clone(),
            rate: self.rate,
            priority: 0,
            weight: self.weight,
        }
    }
}

impl SmsProvider {
    /// The rate that was agreed with it, in messages a second; `None` for the setting 0, which means no limit.
    pub fn agreed_rate(&self) -> Option<Rate> {
        (self.rate > 0.0).then_some(Rate::Even(self.rate))
    }
}

impl OwnSettings for Own {
    const SERVICE: Service = Service::NotificationGateway;

    fn review(&self, review: &mut Review) {
        self.providers.sms.review(review);
        self.auth.review(review);
    }
}

impl Sms {
    fn review(&self, review: &mut Review) {
        if self.try_timeout >= self.call_timeout {
            review.refuse("providers.sms.try_timeout_ms", "must be less than call_timeout_ms");
        }
        if !(1..=1_000).contains(&self.places) {
            review.refuse("providers.sms.places", "must be from 1 to 1000");
        }
        self.first().review("providers.sms", review);
        if self.also.len() > MOST_PROVIDERS {
            review.refuse("providers.sms.also", "has more than 15 providers");
        }
        for (name, provider) in &self.also {
            let section = format!("providers.sms.also.{name}");
            if !is_name(name) {
                review.refuse(&section, "a name has up to 30 of a to z, 0 to 9, - and _");
            }
            if name == FIRST_PROVIDER {
                review.refuse(
                    &section,
                    "is how the provider of providers.sms itself is held; give this one another name",
                );
            }
            provider.review(&section, review);
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=30).contains(&name.len()) && name.bytes().all(is_fit)
}

impl SmsProvider {
    fn review(&self, section: &str, review: &mut Review) {
        let key = |name: &str| format!("{section}.{name}");
        let token = self.token.expose_secret().trim();
        review.wants_http(&key("url"), &self.url, HttpUrl::Bare);
        if !(0.0..=100_000.0).contains(&self.rate) {
            review.refuse(&key("rate"), "must be from 0 to 100000 a second");
        }
        if !(1..=1_000).contains(&self.weight) {
            review.refuse(&key("weight"), "must be from 1 to 1000");
        }
        if review.is_production() && token.is_empty() {
            review.refuse(&key("token"), "is empty; production wants one");
        }
        if leads_to_own_port(&self.url, SANDBOX_PORT) {
            review.serves_development(
                key("url"),
                "messages go to the sandbox, and nobody gets them; name the provider's API",
            );
        }
        if self.account == SANDBOX_ACCOUNT {
            review.serves_development(
                key("account"),
                "is the sandbox's; set the account that you have with the provider",
            );
        }
        if token == SANDBOX_TOKEN {
            review.serves_development(
                key("token"),
                "is the built-in one; set your own, or name its file in the variable with _FILE behind its name",
            );
        }
        if leads_elsewhere(&self.url, |url| url.scheme() == "http") {
            review.goes_in_clear(key("url"), "the account's token goes in clear text; use https://");
        }
    }
}

impl Auth {
    fn review(&self, review: &mut Review) {
        review.wants_http("auth.jwks_url", &self.jwks_url, HttpUrl::Whole);
        if leads_elsewhere(&self.jwks_url, |url| url.scheme() == "http") {
            review.goes_in_clear(
                "auth.jwks_url",
                "whoever is on the way can give keys of their own, and make tokens; use https://, or a network of your own",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use common::config::ConfigError;

    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let vars = vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::load_from(None, vars.collect())
    }

    #[test]
    fn a_telephone_number_keeps_its_plus_sign() {
        let settings = with(&[("WAYPOST__PROVIDERS__SMS__SENDER", "+15550100")]).unwrap();
        assert_eq!(settings.own.providers.sms.sender, "+15550100");
    }

    #[test]
    fn the_token_may_come_from_a_file() {
        let file = std::env::temp_dir().join(format!("waypost-token-{}", std::process::id()));
        std::fs::write(&file, "from-file\n").unwrap();
        let named = ("WAYPOST__PROVIDERS__SMS__TOKEN_FILE", file.to_str().unwrap());
        let settings = with(&[named]).unwrap();
        assert_eq!(settings.own.providers.sms.token.expose_secret(), "from-file");
        let twice = with(&[named, ("WAYPOST__PROVIDERS__SMS__TOKEN", "from-variable")]);
        assert!(matches!(twice, Err(ConfigError::Twice { .. })), "{twice:?}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn one_try_is_shorter_than_all_and_production_wants_a_token() {
        let refused = |vars: &[(&str, &str)]| with(vars).unwrap_err().to_string();
        let said = refused(&[("WAYPOST__PROVIDERS__SMS__TRY_TIMEOUT_MS", "12000")]);
        assert!(said.contains("`providers.sms.try_timeout_ms`"), "{said}");
        for empty in ["", " "] {
            let said = refused(&[
                ("WAYPOST__PROFILE", "production"),
                ("WAYPOST__PROVIDERS__SMS__TOKEN", empty),
            ]);
            assert!(said.contains("`providers.sms.token`: is empty"), "{said}");
        }
    }

    #[test]
    fn more_providers_have_names_of_their_own_and_their_keys_are_known() {
        let also = |key: &str| format!("WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__{key}");
        let whole = [
            (also("URL"), "https://sms.example"),
            (also("ACCOUNT"), "AC2"),
            (also("TOKEN"), "secret"),
            (also("SENDER"), "+15550101"),
            (also("RATE"), "12.5"),
        ];
        let vars: Vec<_> = whole.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let settings = with(&vars).unwrap();
        let backup = &settings.own.providers.sms.also["backup"];
        assert_eq!(
            (backup.sender.as_str(), backup.priority, backup.weight),
            ("+15550101", 1, 1)
        );
        assert!(backup.agreed_rate().is_some());
        assert!(settings.own.providers.sms.first().agreed_rate().is_none());
        let error = with(&vars[1..]).unwrap_err().to_string();
        assert!(error.contains("url"), "{error}");
        let typo = also("SENDRE");
        let error = with(&[(typo.as_str(), "x")]).unwrap_err().to_string();
        assert!(error.contains("sendre") && error.contains("sender"), "{error}");
        let error = with(&[&vars[..], &[("WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__WEIGHT", "0")]].concat());
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("providers.sms.also.backup.weight")
        );
        let first: Vec<_> = whole
            .iter()
            .map(|(key, value)| (key.replace("BACKUP", "FIRST"), *value))
            .collect();
        let first: Vec<_> = first.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        let error = with(&first).unwrap_err().to_string();
        assert!(error.contains("`providers.sms.also.first`"), "{error}");
    }

    #[test]
    fn an_address_that_no_call_could_reach_is_refused_and_named() {
        let backup = [
            ("WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__URL", "https://sms.test"),
            ("WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__ACCOUNT", "AC2"),
            ("WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__TOKEN", "secret"),
        ];
        with(&backup).unwrap();
        for (variable, value, key) in [
            ("WAYPOST__PROVIDERS__SMS__URL", "localhost:8090", "providers.sms.url"),
            (
                "WAYPOST__PROVIDERS__SMS__URL",
                "https://sms.test?x=y",
                "providers.sms.url",
            ),
            (
                "WAYPOST__PROVIDERS__SMS__URL",
                "https://AC1:s3cret@sms.test",
                "providers.sms.url",
            ),
            (
                "WAYPOST__PROVIDERS__SMS__ALSO__BACKUP__URL",
                "sms.test:443",
                "providers.sms.also.backup.url",
            ),
            ("WAYPOST__AUTH__JWKS_URL", "user-api:8080/jwks", "auth.jwks_url"),
        ] {
            let others = backup.iter().filter(|(other, _)| *other != variable);
            let vars: Vec<_> = others.copied().chain([(variable, value)]).collect();
            let said = with(&vars).unwrap_err().to_string();
            assert!(
                said.contains(&format!("`{key}`: ")) && !said.contains("s3cret"),
                "{said}"
            );
        }
        let ipv6 = [
            ("WAYPOST__PROVIDERS__SMS__URL", "https://[2001:db8::1]/sms"),
            ("WAYPOST__AUTH__JWKS_URL", "http://me:word@[::1]:8080/jwks?set=1"),
        ];
        with(&ipv6).unwrap();
    }

    #[test]
    fn production_knows_the_sandbox_by_each_name_of_the_machine() {
        for url in ["http://127.0.0.1:8090/", "http://localhost:8090", "http://[::1]:8090"] {
            let refused = with(&[
                ("WAYPOST__PROFILE", "production"),
                ("WAYPOST__PROVIDERS__SMS__URL", url),
            ]);
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("`providers.sms.url`: "), "{url}: {said}");
        }
    }

    #[test]
    fn a_token_or_keys_on_the_way_in_clear_are_told() {
        let settings = with(&[
            ("WAYPOST__PROFILE", "production"),
            ("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true"),
            ("WAYPOST__PROVIDERS__SMS__URL", "http://sms.example"),
            ("WAYPOST__AUTH__JWKS_URL", "http://user-api:8080/jwks"),
        ]);
        let settings = settings.unwrap();
        let keys: Vec<_> = settings
            .secrets_in_clear()
            .iter()
            .map(|part| part.key.clone())
            .collect();
        assert_eq!(keys, ["providers.sms.url", "auth.jwks_url"]);
    }
}
