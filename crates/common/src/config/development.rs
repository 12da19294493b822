//! Parts that serve development alone: production is not started with one of them by mistake.

use std::fmt;

use secrecy::ExposeSecret;

use super::settings::{Profile, Settings};
use super::{ConfigError, Service};

/// What `defaults.toml` has for the provider of SMS: the sandbox, and what it lets in.
const SANDBOX_URL: &str = "http://127.0.0.1:8090";
const SANDBOX_ACCOUNT: &str = "AC-development";
const SANDBOX_TOKEN: &str = "development";

/// A setting that has a value of development's, and what production wants instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevelopmentPart {
    /// The key, as `section.key`.
    pub key: &'static str,
    /// What is wrong, and what to set.
    pub cure: &'static str,
}

impl fmt::Display for DevelopmentPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.cure)
    }
}

impl Settings {
    /// The parts of development that `service` would run with in production; none under any other profile.
    pub fn development_parts(&self, service: Service) -> Vec<DevelopmentPart> {
        if self.profile != Profile::Production {
            return Vec::new();
        }
        let sms = &self.providers.sms;
        let mails_into_a_folder = self.mail.url.expose_secret().starts_with("file:");
        let store_in_memory = self.store.url.expose_secret().starts_with("memory:");
        let parts = [
            (
                service == Service::EmailWorker && mails_into_a_folder,
                "mail.url",
                "mails go into a folder, and nobody gets them; name a mail server, such as smtps://user:password@mail.example.com",
            ),
            (
                matches!(service, Service::UserApi | Service::NotificationGateway) && store_in_memory,
                "store.url",
                "each process has limits, locks and a cache of its own; name a Redis, such as rediss://redis.example.com",
            ),
            (
                service == Service::NotificationGateway && sms.url == SANDBOX_URL,
                "providers.sms.url",
                "messages go to the sandbox, and nobody gets them; name the provider's API",
            ),
            (
                service == Service::NotificationGateway && sms.account == SANDBOX_ACCOUNT,
                "providers.sms.account",
                "is the sandbox's; set the account that you have with the provider",
            ),
            (
                service == Service::NotificationGateway && sms.token.expose_secret().trim() == SANDBOX_TOKEN,
                "providers.sms.token",
                "is the built-in one; set your own, or name its file in WAYPOST__PROVIDERS__SMS__TOKEN_FILE",
            ),
        ];
        let is_one = |(is_one, key, cure): (bool, _, _)| is_one.then_some(DevelopmentPart { key, cure });
        parts.into_iter().filter_map(is_one).collect()
    }

    /// Refuses them unless somebody said that they are meant.
    pub(super) fn check_parts(&self, service: Service) -> Result<(), ConfigError> {
        let parts = self.development_parts(service);
        if parts.is_empty() || self.process.allow_development_parts {
            return Ok(());
        }
        let lines: Vec<_> = parts.iter().map(|part| format!("\n  {part}")).collect();
        Err(ConfigError::DevelopmentParts(lines.concat()))
    }
}
