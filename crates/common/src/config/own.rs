//! What one program has of its own in the settings, beside the sections that several share.

use std::ops::{Deref, DerefMut};

use serde::de::DeserializeOwned;

use super::settings::Settings;
use super::{Review, Service};

/// The sections of one program alone: a struct with a field for each section, named as in `defaults.toml`.
pub trait OwnSettings: DeserializeOwned {
    /// The program.
    const SERVICE: Service;

    /// Looks for what no single value shows, and notes it in `review`.
    fn review(&self, review: &mut Review);
}

/// The settings of one program: its own, and through `Deref` those that several share.
#[derive(Debug, Clone)]
pub struct SettingsOf<Own> {
    pub(super) shared: Settings,
    /// Those that are the program's own.
    pub own: Own,
}

impl<Own> Deref for SettingsOf<Own> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.shared
    }
}

impl<Own> DerefMut for SettingsOf<Own> {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.shared
    }
}
