//! `waypost migrate`: brings every database up to date.

use std::process::ExitCode;

use super::complete::complete;
use super::output::say;
use crate::settings::Programs;

/// `waypost migrate`
pub fn migrate() -> ExitCode {
    complete(async {
        for (service, settings) in Programs::load()?.with_database() {
            crate::migrate::migrate(settings, service).await?;
            say(&format!("{service}: up to date"));
        }
        Ok(ExitCode::SUCCESS)
    })
}
