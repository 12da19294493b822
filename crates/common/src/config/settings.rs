//! The settings that several programs share, section by section. What is one program's own stands with it.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::durations::{millis, millis_list, seconds};
use super::hosts::Hosts;
use super::limits::RateLimits;
use super::networks::Networks;
use super::origins::Origins;
use super::retention::Retention;
use super::urls::{BrokerUrl, KafkaServers, StoreUrl};
use super::weaknesses::{WeakPart, Weaknesses};

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

/// The settings that several programs share. `defaults.toml` says what each is for.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Settings {
    pub profile: Profile,
    pub database: Database,
    pub store: Store,
    pub broker: Broker,
    pub outlets: Outlets,
    pub dispatch: Dispatch,
    pub retention: Retention,
    pub telemetry: Telemetry,
    pub http: Http,
    pub limits: RateLimits,
    pub operations: Operations,
    pub overload: Overload,
    pub process: Process,
    #[serde(skip)]
    pub(super) weaknesses: Weaknesses,
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
    pub url: StoreUrl,
    pub prefix: String,
    pub ca_file: String,
    #[serde(rename = "response_timeout_ms", deserialize_with = "millis")]
    pub response_timeout: Duration,
}

/// The message broker.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Broker {
    pub url: BrokerUrl,
    pub ca_file: String,
    pub namespace: String,
    pub prefetch: u16,
    pub batch: usize,
    #[serde(rename = "handler_timeout_ms", deserialize_with = "millis")]
    pub handler_timeout: Duration,
    #[serde(rename = "retry_delays_ms", deserialize_with = "millis_list")]
    pub retry_delays: Vec<Duration>,
}

/// Where other systems may read the services' events.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Outlets {
    pub kafka: KafkaOutlet,
}

/// The outlet to Kafka.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct KafkaOutlet {
    pub url: KafkaServers,
    pub topic: String,
}

impl KafkaOutlet {
    /// Whether there is such an outlet.
    pub fn is_on(&self) -> bool {
        self.url != KafkaServers::Off
    }
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

/// Traces and logs.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Telemetry {
    pub otlp_endpoint: String,
    pub sample_ratio: f64,
    pub trust_callers: bool,
    pub trace_url: String,
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
}

/// The operations port.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Operations {
    pub address: String,
    pub token: SecretString,
    pub allowed_hosts: Hosts,
}

/// Bounds of how many requests are under way at a time. `most` is that of reads; other lanes have a part of it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[expect(missing_docs, reason = "defaults.toml documents each key, once")]
pub struct Overload {
    pub least: usize,
    pub most: usize,
}

/// Shutdown, and what production may run with.
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
    /// The parts of development that the service runs with in production; none under any other profile.
    pub fn development_parts(&self) -> &[WeakPart] {
        &self.weaknesses.development
    }

    /// What the service sends in clear text in production, beyond its own machine; nothing under any other profile.
    pub fn secrets_in_clear(&self) -> &[WeakPart] {
        &self.weaknesses.in_clear
    }
}
