//! The look at the sections that several programs share.

use std::time::Duration;

use secrecy::ExposeSecret;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::review::{Review, leads_elsewhere, parameter};
use super::settings::{Broker, Database, Http, KafkaOutlet, Overload, Process, Settings, Store, Telemetry};
use super::urls::{BrokerUrl, KafkaServers, StoreUrl};
use super::{HttpUrl, Service};

/// Modes of PostgreSQL that never send anything in clear text.
const TLS_MODES: [&str; 3] = ["require", "verify-ca", "verify-full"];

impl Settings {
    pub(super) fn review(&self, review: &mut Review) {
        self.telemetry.review(review);
        self.http.review(review);
        if let Some((key, problem)) = self.limits.broken() {
            review.refuse(&key, problem);
        }
        self.process.review(review);
        self.database.review(review);
        self.broker.review(review);
        self.outlets.kafka.review(review);
        self.store.review(review);
        self.overload.review(review);
        self.review_retention(review);
    }
}

impl Telemetry {
    fn review(&self, review: &mut Review) {
        let problem = collector_problem(&self.otlp_endpoint).filter(|_| !self.otlp_endpoint.is_empty());
        if let Some(problem) = problem {
            review.refuse("telemetry.otlp_endpoint", problem);
        }
        if !is_log_filter(&self.log_filter) {
            review.refuse(
                "telemetry.log_filter",
                "must be levels, alone or of a target, with commas between, such as info,sqlx=warn",
            );
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            review.refuse("telemetry.sample_ratio", "must be from 0 to 1");
        }
    }
}

/// Whether each part is a level, alone or of a target. A word alone that is no level would be a target, and nothing else be
/// logged.
fn is_log_filter(filter: &str) -> bool {
    let is_fit = |part: &str| part.contains(['=', '[']) || part.trim().parse::<LevelFilter>().is_ok();
    EnvFilter::try_new(filter).is_ok() && filter.split(',').all(is_fit)
}

/// What keeps spans from going to this address. The exporter passes over all but host and port, and speaks no TLS.
fn collector_problem(address: &str) -> Option<&'static str> {
    match HttpUrl::Bare.parse(address) {
        Err(problem) => Some(problem),
        Ok(url) if url.scheme() == "https" => {
            Some("can't be https://, as spans go out without TLS; name a collector in your own network by http://")
        }
        Ok(url) if url.path() != "/" => {
            Some("must have no path, as OTLP over gRPC has its own; such as http://127.0.0.1:4317")
        }
        Ok(_) => None,
    }
}

impl Http {
    fn review(&self, review: &mut Review) {
        if self.connections_per_address == 0 {
            review.refuse("http.connections_per_address", "must be at least 1");
        }
        if !self.public_url.is_empty() {
            review.wants_http("http.public_url", &self.public_url, HttpUrl::Bare);
        }
    }
}

impl Process {
    fn review(&self, review: &mut Review) {
        if self.drain >= self.shutdown {
            review.refuse("process.drain_ms", "must be less than shutdown_ms");
        }
    }
}

impl Database {
    fn review(&self, review: &mut Review) {
        if self.max_connections < 4 {
            review.refuse("database.max_connections", "must be at least 4");
        }
        if leads_elsewhere(self.url.expose_secret(), is_open_postgres) {
            review.goes_in_clear(
                "database.url",
                "the password may go in clear text; add ?sslmode=verify-full",
            );
        }
    }
}

fn is_open_postgres(url: &Url) -> bool {
    let mode = parameter(url, "sslmode");
    url.scheme().starts_with("postgres")
        && url.password().is_some()
        && !mode.is_some_and(|mode| TLS_MODES.contains(&mode.as_str()))
}

impl Broker {
    fn review(&self, review: &mut Review) {
        if self.handler_timeout > Duration::from_mins(25) {
            review.refuse(
                "broker.handler_timeout_ms",
                "must be below the broker's limit for an ack (30 min)",
            );
        }
        if self.prefetch == 0 {
            review.refuse("broker.prefetch", "must be at least 1");
        }
        if !(1..=1_000).contains(&self.batch) {
            review.refuse("broker.batch", "must be from 1 to 1000");
        }
        let is_open = |url: &Url| url.scheme() == "amqp" && url.password().is_some();
        if let BrokerUrl::Nodes(nodes) = &self.url
            && leads_elsewhere(nodes.expose_secret(), is_open)
        {
            review.goes_in_clear("broker.url", "the password goes in clear text; use amqps://");
        }
    }
}

impl KafkaOutlet {
    fn review(&self, review: &mut Review) {
        let is_sign = |sign: u8| sign.is_ascii_alphanumeric() || b"._-".contains(&sign);
        let is_topic = (1..=249).contains(&self.topic.len()) && self.topic.bytes().all(is_sign);
        if !is_topic || self.topic.chars().all(|sign| sign == '.') {
            review.refuse(
                "outlets.kafka.topic",
                "must have 1 to 249 letters, digits, dots, dashes or underscores",
            );
        }
        match &self.url {
            KafkaServers::Off => {}
            KafkaServers::Unknown => review.refuse(
                "outlets.kafka.url",
                "must be kafka://host:port, with commas between several: kafka://one:9092,two:9092; there is no TLS and no log-in",
            ),
            KafkaServers::At(servers) => {
                let urls: Vec<_> = servers.split(',').map(|server| format!("kafka://{server}")).collect();
                if leads_elsewhere(&urls.join(","), |_| true) {
                    review.goes_in_clear(
                        "outlets.kafka.url",
                        "people's data goes to Kafka in clear text; keep it within a network of your own",
                    );
                }
            }
        }
    }
}

impl Store {
    /// The store serves HTTP; who serves none has no use for it, and need not be given one.
    fn review(&self, review: &mut Review) {
        if !matches!(review.service(), Service::UserApi | Service::NotificationGateway) {
            return;
        }
        let is_open = |url: &Url| matches!(url.scheme(), "redis" | "redis+sentinel") && url.password().is_some();
        match &self.url {
            StoreUrl::Memory => review.serves_development(
                "store.url",
                "each process has limits, locks and a cache of its own; name a Redis, such as rediss://redis.example.com",
            ),
            StoreUrl::Redis(url) if leads_elsewhere(url.expose_secret(), is_open) => {
                review.goes_in_clear("store.url", "the password goes in clear text; use rediss://");
            }
            StoreUrl::Redis(_) => {}
        }
    }
}

impl Overload {
    fn review(self, review: &mut Review) {
        // Below four places, what matters most would have none of its own.
        if self.least < 4 || self.most < self.least {
            review.refuse("overload.least", "must be from 4 to overload.most");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    fn in_production(service: Service, vars: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let production = ("WAYPOST__PROFILE", "production");
        let vars = std::iter::once(&production)
            .chain(vars)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings::load_shared_from(service, None, vars.collect())
    }

    fn in_clear(service: Service, vars: &[(&str, &str)]) -> Vec<std::borrow::Cow<'static, str>> {
        let settings = in_production(service, vars).unwrap();
        settings
            .secrets_in_clear()
            .iter()
            .map(|part| part.key.clone())
            .collect()
    }

    #[test]
    fn what_others_can_read_is_named_and_the_rest_is_not() {
        let clear = [
            ("WAYPOST__DATABASE__URL", "postgres://waypost:secret@db.example/waypost"),
            ("WAYPOST__BROKER__URL", "amqp://waypost:secret@broker.example/%2f"),
            ("WAYPOST__STORE__URL", "redis://:secret@redis.example/0"),
            (
                "WAYPOST__OUTLETS__KAFKA__URL",
                "kafka://127.0.0.1:9092,kafka.example:9092",
            ),
        ];
        assert_eq!(
            in_clear(Service::EmailWorker, &clear),
            ["database.url", "broker.url", "outlets.kafka.url"]
        );
        assert_eq!(
            in_clear(Service::UserApi, &clear),
            ["database.url", "broker.url", "outlets.kafka.url", "store.url"]
        );
        let some_hosts = [
            (
                "WAYPOST__BROKER__URL",
                "amqp://waypost:secret@127.0.0.1:5672,broker.example,[::1]/%2f",
            ),
            (
                "WAYPOST__STORE__URL",
                "redis+sentinel://:secret@localhost,redis.example/main",
            ),
        ];
        assert_eq!(in_clear(Service::UserApi, &some_hosts), ["broker.url", "store.url"]);
        let closed = [
            (
                "WAYPOST__DATABASE__URL",
                "postgres://waypost:secret@db.example/waypost?sslmode=verify-full",
            ),
            ("WAYPOST__BROKER__URL", "amqps://waypost:secret@broker.example/%2f"),
            ("WAYPOST__STORE__URL", "redis://redis.example/0"),
            ("WAYPOST__OUTLETS__KAFKA__URL", "kafka://localhost:9092,127.0.0.1:9093"),
        ];
        assert!(in_clear(Service::UserApi, &closed).is_empty());
        for database in [
            "postgres://waypost:secret@db.example/waypost?ssl-mode=verify-full",
            "postgres://waypost:secret@[::1]:5432/waypost",
        ] {
            let vars = [("WAYPOST__DATABASE__URL", database)];
            assert!(in_clear(Service::EmailWorker, &vars).is_empty(), "{database}");
        }
        let elsewhere = [(
            "WAYPOST__DATABASE__URL",
            "postgres://waypost:secret@[2001:db8::1]/waypost",
        )];
        assert_eq!(in_clear(Service::EmailWorker, &elsewhere), ["database.url"]);
    }

    #[test]
    fn production_has_a_store_in_memory_only_where_nobody_uses_it_or_somebody_means_it() {
        let refused = in_production(Service::UserApi, &[]).unwrap_err().to_string();
        assert!(
            refused.contains("`store.url`: ") && refused.contains("process.allow_development_parts"),
            "{refused}"
        );
        in_production(Service::EmailWorker, &[]).unwrap();
        let meant = ("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true");
        let settings = in_production(Service::UserApi, &[meant]).unwrap();
        assert_eq!(settings.development_parts().len(), 1);
    }

    #[test]
    fn the_rule_that_is_broken_is_named() {
        for (key, value, named) in [
            ("WAYPOST__BROKER__PREFETCH", "0", "broker.prefetch"),
            (
                "WAYPOST__BROKER__HANDLER_TIMEOUT_MS",
                "1500001",
                "broker.handler_timeout_ms",
            ),
            ("WAYPOST__DATABASE__MAX_CONNECTIONS", "3", "database.max_connections"),
            (
                "WAYPOST__HTTP__CONNECTIONS_PER_ADDRESS",
                "0",
                "http.connections_per_address",
            ),
            ("WAYPOST__HTTP__PUBLIC_URL", "example.org", "http.public_url"),
            ("WAYPOST__OUTLETS__KAFKA__TOPIC", "a b", "outlets.kafka.topic"),
            ("WAYPOST__OUTLETS__KAFKA__TOPIC", "..", "outlets.kafka.topic"),
            ("WAYPOST__OUTLETS__KAFKA__URL", "127.0.0.1:9092", "outlets.kafka.url"),
            ("WAYPOST__OVERLOAD__LEAST", "3", "overload.least"),
            ("WAYPOST__PROCESS__DRAIN_MS", "5000", "process.drain_ms"),
            (
                "WAYPOST__TELEMETRY__OTLP_ENDPOINT",
                "127.0.0.1:4317",
                "telemetry.otlp_endpoint",
            ),
            ("WAYPOST__TELEMETRY__LOG_FILTER", "common=loud", "telemetry.log_filter"),
            ("WAYPOST__TELEMETRY__LOG_FILTER", "inof", "telemetry.log_filter"),
            ("WAYPOST__TELEMETRY__SAMPLE_RATIO", "1.1", "telemetry.sample_ratio"),
        ] {
            let vars = vec![(key.to_owned(), value.to_owned())];
            let refused = Settings::load_shared_from(Service::UserApi, None, vars).unwrap_err();
            assert!(refused.to_string().contains(&format!("`{named}`")), "{refused}");
        }
    }

    #[test]
    fn spans_go_to_a_host_and_a_port_without_tls() {
        let refused = |address| {
            let vars = vec![("WAYPOST__TELEMETRY__OTLP_ENDPOINT".to_owned(), address)];
            let loaded = Settings::load_shared_from(Service::UserApi, None, vars);
            loaded.err().map(|error| error.to_string())
        };
        for taken in ["", "http://127.0.0.1:4317", "http://[::1]:4317/", "http://jaeger"] {
            assert_eq!(refused(taken.to_owned()), None, "{taken}");
        }
        for (wrong, said) in [
            ("127.0.0.1:4317", "http://"),
            ("https://collector.test:4317", "without TLS"),
            ("http://collector.test:4317/v1/traces", "no path"),
            ("http://collector.test:4317?x=y", "`?`"),
            ("http://me:secret@collector.test:4317", "a user"),
        ] {
            let refused = refused(wrong.to_owned()).unwrap();
            assert!(
                refused.contains("`telemetry.otlp_endpoint`") && refused.contains(said),
                "{wrong}: {refused}"
            );
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
