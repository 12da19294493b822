//! The settings themselves, section by section, and the rules between their values.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::hosts::Hosts;
use super::limits::RateLimits;
use super::networks::Networks;
use super::origins::Origins;
use super::parameters::with_known_parameters;
use super::{ConfigError, Service};

/// What kind of place this runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A developer's machine: keys are made by themselves, mails and traces can be looked at.
    Development,
    /// Automated tests: as production, but cheap and without secrets to provide.
    Test,
    /// The real thing: no default secret is accepted.
    Production,
}

/// Every setting of the system. `defaults.toml` says what each is for.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Settings {
    pub profile: Profile,
    pub database: Database,
    pub store: Store,
    pub broker: Broker,
    pub dispatch: Dispatch,
    pub mail: Mail,
    pub telemetry: Telemetry,
    pub http: Http,
    pub limits: RateLimits,
    pub operations: Operations,
    pub overload: Overload,
    pub accounts: Accounts,
    pub auth: Auth,
    pub providers: Providers,
    pub process: Process,
}

/// Where a service keeps its rows.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Database {
    pub url: SecretString,
    pub ca_file: String,
    pub max_connections: u32,
}

/// Cache, locks and rate limits.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Store {
    pub url: SecretString,
    pub prefix: String,
    pub ca_file: String,
    #[serde(rename = "response_timeout_ms", deserialize_with = "millis")]
    pub response_timeout: Duration,
}

/// The message broker.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Broker {
    pub url: SecretString,
    pub ca_file: String,
    pub namespace: String,
    pub prefetch: u16,
    #[serde(rename = "handler_timeout_ms", deserialize_with = "millis")]
    pub handler_timeout: Duration,
    #[serde(rename = "retry_delays_ms", deserialize_with = "millis_list")]
    pub retry_delays: Vec<Duration>,
}

/// How deliveries are tried again.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Dispatch {
    #[serde(rename = "retry_delays_ms", deserialize_with = "millis_list")]
    pub retry_delays: Vec<Duration>,
    #[serde(rename = "give_up_after_s", deserialize_with = "seconds")]
    pub give_up_after: Duration,
}

/// Where mail goes.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Mail {
    pub url: SecretString,
    pub ca_file: String,
    pub from: String,
    pub hello_name: String,
    pub page_address: String,
    pub page_hosts: Hosts,
}

/// Traces and logs.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Telemetry {
    pub otlp_endpoint: String,
    pub sample_ratio: f64,
    pub trust_callers: bool,
    pub log_filter: String,
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For a person.
    Text,
}

/// The public port.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Http {
    pub address: String,
    pub public_url: String,
    pub allowed_origins: Origins,
    pub trusted_proxies: Networks,
    pub connections_per_address: usize,
}

impl Http {
    /// What stands before the paths of this service where people reach it, such as `/waypost`; empty, or without a slash at
    /// its end.
    pub fn path_prefix(&self) -> String {
        let url = Url::parse(&self.public_url).ok();
        url.map_or_else(String::new, |url| url.path().trim_end_matches('/').to_owned())
    }

    /// Whether people can reach anything by the public URL.
    fn is_reachable(&self) -> bool {
        let url = Url::parse(&self.public_url);
        let is_plain =
            |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
        self.public_url.is_empty() || url.is_ok_and(|url| is_plain(&url))
    }
}

/// The operations port.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Operations {
    pub address: String,
    pub allowed_hosts: Hosts,
}

/// How many requests are under way at a time, in each lane.
#[derive(Debug, Clone, Copy, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Overload {
    pub least: usize,
    pub most: usize,
}

/// Accounts.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Accounts {
    pub argon2: Argon2,
    pub sessions: Sessions,
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

/// Cost of one password hash.
#[derive(Debug, Clone, Copy, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Argon2 {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

/// How bearer tokens are checked.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Auth {
    pub jwks_url: String,
}

/// External providers.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Providers {
    pub sms: Sms,
}

/// The SMS provider.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Sms {
    pub url: String,
    pub account: String,
    pub token: SecretString,
    pub sender: String,
    #[serde(rename = "try_timeout_ms", deserialize_with = "millis")]
    pub try_timeout: Duration,
    #[serde(rename = "call_timeout_ms", deserialize_with = "millis")]
    pub call_timeout: Duration,
}

/// Shutdown.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Process {
    #[serde(rename = "drain_ms", deserialize_with = "millis")]
    pub drain: Duration,
    #[serde(rename = "shutdown_ms", deserialize_with = "millis")]
    pub shutdown: Duration,
    pub allow_development_parts: bool,
}

impl Settings {
    /// Has the parameters of all URLs written as the libraries want them, and refuses those that would be passed over.
    pub(super) fn write_parameters(&mut self) -> Result<(), ConfigError> {
        let urls = [
            ("database.url", &mut self.database.url),
            ("store.url", &mut self.store.url),
            ("broker.url", &mut self.broker.url),
            ("mail.url", &mut self.mail.url),
        ];
        for (key, url) in urls {
            // Several nodes of a broker stand in one setting.
            let nodes = url.expose_secret().split(|c| c == ',' && key == "broker.url");
            let written: Result<Vec<_>, _> = nodes.map(|node| with_known_parameters(node.trim())).collect();
            let written = written.map_err(|problem| ConfigError::Rule {
                key: key.to_owned(),
                problem,
            })?;
            *url = written.join(",").into();
        }
        Ok(())
    }

    /// Checks what no single value shows: deadlines that nest, secrets that are not the built-in ones.
    pub(super) fn check(&self, service: Service) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| {
            Err(ConfigError::Rule {
                key: key.to_owned(),
                problem: problem.to_owned(),
            })
        };
        let collector = &self.telemetry.otlp_endpoint;
        if !(collector.is_empty() || collector.starts_with("http://") || collector.starts_with("https://")) {
            return refuse(
                "telemetry.otlp_endpoint",
                "must begin with http:// or https://, such as http://127.0.0.1:4317",
            );
        }
        if self.http.connections_per_address == 0 {
            return refuse("http.connections_per_address", "must be at least 1");
        }
        if !self.http.is_reachable() {
            return refuse(
                "http.public_url",
                "must be http:// or https:// with nothing behind the path, such as https://example.org/waypost",
            );
        }
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            return refuse("telemetry.sample_ratio", "must be from 0 to 1");
        }
        if self.providers.sms.try_timeout >= self.providers.sms.call_timeout {
            return refuse("providers.sms.try_timeout_ms", "must be less than call_timeout_ms");
        }
        if self.accounts.sessions.sweep_every < Duration::from_millis(100) {
            return refuse("accounts.sessions.sweep_every_ms", "must be at least 100");
        }
        if let Some((key, problem)) = self.limits.broken() {
            return refuse(&key, problem);
        }
        if self.process.drain >= self.process.shutdown {
            return refuse("process.drain_ms", "must be less than shutdown_ms");
        }
        if self.broker.handler_timeout > Duration::from_mins(25) {
            return refuse(
                "broker.handler_timeout_ms",
                "must be below the broker's limit for an ack (30 min)",
            );
        }
        if self.broker.prefetch == 0 {
            return refuse("broker.prefetch", "must be at least 1");
        }
        // Below four places, what matters most would have none of its own.
        if self.overload.least < 4 || self.overload.most < self.overload.least {
            return refuse("overload.least", "must be from 4 to overload.most");
        }
        if self.database.max_connections < 4 {
            return refuse("database.max_connections", "must be at least 4");
        }
        if self.profile == Profile::Production
            && service == Service::NotificationGateway
            && self.providers.sms.token.expose_secret().trim().is_empty()
        {
            return refuse("providers.sms.token", "is empty; production wants one");
        }
        self.check_parts(service)
    }
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn millis_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let delays = text
        .split(',')
        .map(|part| part.trim().parse().map(Duration::from_millis))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| de::Error::custom("must be milliseconds with commas between, such as 10000,60000"))?;
    if delays.iter().any(Duration::is_zero) {
        return Err(de::Error::custom("a delay of 0 is not one"));
    }
    Ok(delays)
}
