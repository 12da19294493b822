//! Secrets that production would send where others can read them.

use secrecy::ExposeSecret;
use url::{Host, Url};

use super::Service;
use super::settings::{Profile, Settings};

/// Modes of PostgreSQL that never send anything in clear text.
const TLS_MODES: [&str; 3] = ["require", "verify-ca", "verify-full"];

/// A setting by which something secret goes over a network in clear text, and what to set instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearText {
    /// The key, as `section.key`.
    pub key: &'static str,
    /// What is sent, and the cure.
    pub cure: &'static str,
}

impl Settings {
    /// What `service` would send in clear text in production, beyond its own machine; nothing under any other profile.
    ///
    /// A network of one's own may be trusted with it, so that is said at the start and not refused.
    pub fn secrets_in_clear(&self, service: Service) -> Vec<ClearText> {
        if self.profile != Profile::Production {
            return Vec::new();
        }
        let any = |urls: &str, is_open: &dyn Fn(&Url) -> bool| {
            let mut urls = urls.split(',').filter_map(|url| Url::parse(url.trim()).ok());
            urls.any(|url| !is_loopback(&url) && is_open(&url))
        };
        let (is_worker, is_gateway) = (service == Service::EmailWorker, service == Service::NotificationGateway);
        let parts = [
            (
                any(self.database.url.expose_secret(), &is_open_postgres),
                "database.url",
                "the password may go in clear text; add ?sslmode=verify-full",
            ),
            (
                any(self.broker.url.expose_secret(), &|url| {
                    url.scheme() == "amqp" && url.password().is_some()
                }),
                "broker.url",
                "the password goes in clear text; use amqps://",
            ),
            (
                !is_worker
                    && any(self.store.url.expose_secret(), &|url| {
                        matches!(url.scheme(), "redis" | "redis+sentinel") && url.password().is_some()
                    }),
                "store.url",
                "the password goes in clear text; use rediss://",
            ),
            (
                is_worker && any(self.mail.url.expose_secret(), &is_open_smtp),
                "mail.url",
                "the password goes in clear text; add ?tls=required, or use smtps://",
            ),
            (
                is_gateway && any(&self.providers.sms.url, &|url| url.scheme() == "http"),
                "providers.sms.url",
                "the account's token goes in clear text; use https://",
            ),
            (
                is_gateway && any(&self.auth.jwks_url, &|url| url.scheme() == "http"),
                "auth.jwks_url",
                "whoever is on the way can give keys of their own, and make tokens; use https://, or a network of your own",
            ),
        ];
        let is_one = |(is_one, key, cure): (bool, _, _)| is_one.then_some(ClearText { key, cure });
        parts.into_iter().filter_map(is_one).collect()
    }
}

fn is_open_postgres(url: &Url) -> bool {
    let mode = parameter(url, "sslmode");
    url.scheme().starts_with("postgres")
        && url.password().is_some()
        && !mode.is_some_and(|mode| TLS_MODES.contains(&mode.as_str()))
}

fn is_open_smtp(url: &Url) -> bool {
    let tls = parameter(url, "tls");
    url.scheme() == "smtp" && url.password().is_some() && tls.as_deref() != Some("required")
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_from;

    fn open(service: Service, vars: &[(&str, &str)]) -> Vec<&'static str> {
        let production = [
            ("WAYPOST__PROFILE", "production"),
            ("WAYPOST__PROCESS__ALLOW_DEVELOPMENT_PARTS", "true"),
        ];
        let vars = production
            .iter()
            .chain(vars)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = load_from(service, None, vars.collect()).unwrap();
        settings
            .secrets_in_clear(service)
            .into_iter()
            .map(|part| part.key)
            .collect()
    }

    #[test]
    fn what_others_can_read_is_named_and_the_rest_is_not() {
        let clear = [
            ("WAYPOST__DATABASE__URL", "postgres://waypost:secret@db.example/waypost"),
            ("WAYPOST__BROKER__URL", "amqp://waypost:secret@broker.example/%2f"),
            ("WAYPOST__STORE__URL", "redis://:secret@redis.example/0"),
            ("WAYPOST__MAIL__URL", "smtp://user:secret@mail.example"),
            ("WAYPOST__PROVIDERS__SMS__URL", "http://sms.example"),
            ("WAYPOST__AUTH__JWKS_URL", "http://user-api:8080/jwks"),
        ];
        assert_eq!(
            open(Service::EmailWorker, &clear),
            ["database.url", "broker.url", "mail.url"]
        );
        let all = open(Service::NotificationGateway, &clear);
        assert_eq!(
            all,
            [
                "database.url",
                "broker.url",
                "store.url",
                "providers.sms.url",
                "auth.jwks_url"
            ]
        );
        let closed = [
            (
                "WAYPOST__DATABASE__URL",
                "postgres://waypost:secret@db.example/waypost?sslmode=verify-full",
            ),
            ("WAYPOST__BROKER__URL", "amqps://waypost:secret@broker.example/%2f"),
            ("WAYPOST__STORE__URL", "redis://redis.example/0"),
            ("WAYPOST__MAIL__URL", "smtp://user:secret@mail.example?tls=required"),
            ("WAYPOST__PROVIDERS__SMS__URL", "https://sms.example"),
            ("WAYPOST__AUTH__JWKS_URL", "http://127.0.0.1:8080/jwks"),
        ];
        for service in [Service::EmailWorker, Service::NotificationGateway] {
            assert!(open(service, &closed).is_empty());
        }
    }
}
