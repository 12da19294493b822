//! Settings for tests: made by the same layers as a service's own.

use super::own::{OwnSettings, SettingsOf};
use super::{ConfigError, Service, Settings};

impl Settings {
    /// The built-in values under profile `test`, with ports of the system's choice.
    ///
    /// # Panics
    /// When the built-in values are not valid, which a test of this crate excludes.
    pub fn for_tests(service: Service) -> Self {
        valid(Self::load_shared_from(service, None, variables(service)))
    }
}

impl<Own: OwnSettings> SettingsOf<Own> {
    /// As [`Settings::for_tests`], with what is the program's own.
    ///
    /// # Panics
    /// When the built-in values are not valid.
    pub fn for_tests() -> Self {
        valid(Self::load_from(None, variables(Own::SERVICE)))
    }
}

fn variables(service: Service) -> Vec<(String, String)> {
    let vars = [("WAYPOST__PROFILE", "test"), ("WAYPOST__HTTP__ADDRESS", "127.0.0.1:0")];
    let own = format!("WAYPOST__{}__", service.identifier().to_uppercase());
    let ports = ["HTTP", "OPERATIONS"].map(|section| (format!("{own}{section}__ADDRESS"), "127.0.0.1:0".to_owned()));
    vars.into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .chain(ports)
        .collect()
}

fn valid<T>(loaded: Result<T, ConfigError>) -> T {
    #[expect(
        clippy::expect_used,
        reason = "the inputs are constants of this workspace, and tests load them"
    )]
    loaded.expect("built-in settings are valid")
}
