//! Shows the settings as a service reads them, each with where it came from, and no secret.

use url::Url;

use super::layers::merged;
use super::several::a_url_a_host;
use super::table::flatten;
use super::{ConfigError, Service};

/// What stands for a secret.
const HIDDEN: &str = "<hidden>";
/// Ends of names whose values are secrets.
const SECRETS: [&str; 4] = ["token", "password", "secret", "key"];

/// A setting as a service reads it, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// `section.key`
    pub key: String,
    /// Its value. A secret is hidden, and so is the password in an address.
    pub value: String,
    /// The file it came from, or the environment; `None` is a built-in value.
    pub origin: Option<String>,
}

/// Every setting as `service` reads it, in the order of their keys.
///
/// # Errors
/// As [`Settings::load_shared`](super::Settings::load_shared), for what is wrong with a single key.
pub fn effective(service: Service) -> Result<Vec<EffectiveSetting>, ConfigError> {
    let table = merged(service)?.cache.into_table().map_err(ConfigError::Value)?;
    let mut settings = Vec::new();
    flatten(&table, "", &mut |key, value| {
        settings.push(EffectiveSetting {
            key: key.to_owned(),
            value: shown(key, &value.to_string()),
            origin: value.origin().map(str::to_owned),
        });
    });
    settings.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(settings)
}

fn shown(key: &str, value: &str) -> String {
    if SECRETS.iter().any(|end| key.ends_with(end)) && !value.is_empty() {
        return HIDDEN.to_owned();
    }
    if !key.ends_with("url") || value.is_empty() {
        return value.to_owned();
    }
    // Several nodes stand in one setting, and a host with its port is no address by itself.
    let addresses: Option<Vec<String>> = a_url_a_host(value)
        .split(',')
        .map(|one| shown_address(one.trim()))
        .collect();
    addresses.map_or_else(|| HIDDEN.to_owned(), |addresses| addresses.join(","))
}

/// An address without its password; `None` when it may hold one elsewhere.
fn shown_address(address: &str) -> Option<String> {
    let mut url = Url::parse(address).ok()?;
    let in_query = url.query_pairs().any(|(name, _)| name.to_lowercase().contains("pass"));
    if in_query || url.path().contains('@') {
        return None;
    }
    if url.password().is_none() {
        return Some(address.to_owned());
    }
    url.set_password(Some("hidden")).ok()?;
    Some(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_passwords_in_addresses_are_hidden_and_hosts_are_shown() {
        for (key, value, expected) in [
            ("providers.sms.token", "abc", "<hidden>"),
            (
                "database.url",
                "postgres://me:abc@db:5432/x?a=b",
                "postgres://me:hidden@db:5432/x?a=b",
            ),
            (
                "broker.url",
                "amqp://a:abc@one:5672/%2f, amqps://c:abc@two",
                "amqp://a:hidden@one:5672/%2f,amqps://c:hidden@two",
            ),
            (
                "broker.url",
                "amqp://one:5672/%2f,amqp://c:abc@two",
                "amqp://one:5672/%2f,amqp://c:hidden@two",
            ),
            ("broker.url", "amqp://one/%2f;amqp://c:abc@two", "<hidden>"),
            (
                "broker.url",
                "amqp://a:abc@one,two:5673/%2f",
                "amqp://a:hidden@one/%2f,amqp://a:hidden@two:5673/%2f",
            ),
            ("database.url", "postgres://db/x?user=me&password=abc", "<hidden>"),
            (
                "database.url",
                "sqlite://.waypost/waypost.db",
                "sqlite://.waypost/waypost.db",
            ),
            ("store.url", "memory://", "memory://"),
            (
                "store.url",
                "redis+sentinel://me:abc@one:26379,two:26379/main/0",
                "redis+sentinel://me:hidden@one:26379/main/0,redis+sentinel://me:hidden@two:26379/main/0",
            ),
            ("store.url", "redis+sentinel://me:a,bc@one/main", "<hidden>"),
            (
                "store.url",
                "redis+sentinel://one/main?sentinel_password=abc",
                "<hidden>",
            ),
            ("broker.url", "amqp://me:a b c@:nothing", "<hidden>"),
            (
                "mail.from",
                "Waypost <hello@waypost.example>",
                "Waypost <hello@waypost.example>",
            ),
        ] {
            assert_eq!(shown(key, value), expected);
        }
    }

    #[test]
    fn lists_of_hosts_are_shown_with_their_ports() {
        for (key, value, expected) in [
            (
                "broker.url",
                "amqp://a:abc@192.0.2.1:5672,192.0.2.2:5672/%2f",
                "amqp://a:hidden@192.0.2.1:5672/%2f,amqp://a:hidden@192.0.2.2:5672/%2f",
            ),
            ("broker.url", "amqp://a:12,ab/c@one/%2f", "<hidden>"),
            (
                "outlets.kafka.url",
                "kafka://192.0.2.1:9092,[2001:db8::1]:9092",
                "kafka://192.0.2.1:9092,kafka://[2001:db8::1]:9092",
            ),
        ] {
            assert_eq!(shown(key, value), expected);
        }
    }

    #[test]
    fn every_setting_is_shown() {
        let settings = effective(Service::UserApi).unwrap();
        let address = settings.iter().find(|setting| setting.key == "http.address").unwrap();
        assert_eq!(address.value, "127.0.0.1:8080");
        assert!(
            settings
                .iter()
                .any(|setting| setting.key == "accounts.argon2.memory_kib")
        );
    }
}
