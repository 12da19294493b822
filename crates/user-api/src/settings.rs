//! What is this service's own in the settings: accounts and their sessions. `defaults.toml` says what each key is for.

use std::time::Duration;

use common::config::{OwnSettings, Review, Service, SettingsOf, millis, seconds};
use serde::Deserialize;

/// The settings of this service.
pub type Settings = SettingsOf<Own>;

/// The sections that this service alone reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Own {
    /// Accounts.
    pub accounts: Accounts,
}

/// Accounts.
#[derive(Debug, Clone, Deserialize)]
pub struct Accounts {
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
}
