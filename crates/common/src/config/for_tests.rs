//! Settings for tests: made by the same layers as a service's own.

use super::layers::load_from;
use super::{Service, Settings};

impl Settings {
    /// The built-in values under profile `test`, with ports of the system's choice.
    ///
    /// # Panics
    /// When the built-in values are not valid, which a test of this crate excludes.
    pub fn for_tests(service: Service) -> Self {
        let vars = [("WAYPOST__PROFILE", "test"), ("WAYPOST__HTTP__ADDRESS", "127.0.0.1:0")];
        let own = format!("WAYPOST__{}__", service.identifier().to_uppercase());
        let vars = vars
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .chain(["HTTP", "OPERATIONS"].map(|section| (format!("{own}{section}__ADDRESS"), "127.0.0.1:0".to_owned())))
            .collect();
        #[expect(
            clippy::expect_used,
            reason = "the inputs are constants of this crate, and a test loads them"
        )]
        load_from(service, None, vars).expect("built-in settings are valid")
    }
}
