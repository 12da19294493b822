//! From the layers to settings that can be used: the one way, for every binary and every command.

use std::path::Path;

use config::Config;

use super::layers::{merge, merged, refuse_other_forms, write_parameters};
use super::own::{OwnSettings, SettingsOf};
use super::review::Review;
use super::settings::Settings;
use super::{ConfigError, Service};

impl<Own: OwnSettings> SettingsOf<Own> {
    /// Reads the program's settings from the built-in defaults, `./waypost.toml` and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] when a key is unknown, a value has the wrong form, or a rule between values does not hold.
    pub fn load() -> Result<Self, ConfigError> {
        Self::read(merged(Own::SERVICE)?)
    }

    /// As [`Self::load`], from a file and variables that are given.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_from(file: Option<&Path>, vars: Vec<(String, String)>) -> Result<Self, ConfigError> {
        Self::read(merge(Own::SERVICE, file, vars)?)
    }

    fn read(merged: Config) -> Result<Self, ConfigError> {
        let own = |merged: Config, review: &mut Review| {
            let own: Own = merged.try_deserialize().map_err(ConfigError::Value)?;
            own.review(review);
            Ok(own)
        };
        let (shared, own) = read(Own::SERVICE, merged, own)?;
        Ok(Self { shared, own })
    }
}

impl Settings {
    /// As [`SettingsOf::load`], for a program that has nothing of its own.
    ///
    /// # Errors
    /// As [`SettingsOf::load`].
    pub fn load_shared(service: Service) -> Result<Self, ConfigError> {
        read(service, merged(service)?, |_, _| Ok(())).map(|(shared, ())| shared)
    }

    /// As [`Self::load_shared`], from a file and variables that are given.
    ///
    /// # Errors
    /// As [`SettingsOf::load`].
    pub fn load_shared_from(
        service: Service,
        file: Option<&Path>,
        vars: Vec<(String, String)>,
    ) -> Result<Self, ConfigError> {
        read(service, merge(service, file, vars)?, |_, _| Ok(())).map(|(shared, ())| shared)
    }
}

/// Reads the sections that several share and, by `own`, those that one program has of its own; looks at them all.
fn read<T>(
    service: Service,
    mut merged: Config,
    own: impl FnOnce(Config, &mut Review) -> Result<T, ConfigError>,
) -> Result<(Settings, T), ConfigError> {
    write_parameters(&mut merged)?;
    let mut shared: Settings = merged.clone().try_deserialize().map_err(ConfigError::Value)?;
    if shared.store.prefix.is_empty() {
        shared.store.prefix.clone_from(&shared.broker.namespace);
    }
    let mut review = Review::new(service, shared.profile);
    shared.review(&mut review);
    let own = own(merged.clone(), &mut review)?;
    refuse_other_forms(&merged)?;
    shared.weaknesses = review.end(shared.process.allow_development_parts)?;
    Ok((shared, own))
}
