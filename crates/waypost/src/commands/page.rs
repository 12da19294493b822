//! `waypost page`: the development page alone.

use std::process::ExitCode;

use common::process::run_service;

use crate::settings::Settings;

/// `waypost page`: the page of a mail folder, for services that run as processes of their own.
pub fn page() -> ExitCode {
    run_service(|settings: Settings, tasks| async move {
        anyhow::ensure!(
            settings.own.mail.url.folder().is_some(),
            "mail.url is no file:// folder; there is nothing to show"
        );
        crate::page::serve(&settings, None, &tasks)?;
        anyhow::Ok(())
    })
}
