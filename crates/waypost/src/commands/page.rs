//! `waypost page`: the development page alone.

use std::process::ExitCode;

use common::config::Service;
use common::process::run_service;
use secrecy::ExposeSecret;

/// `waypost page`: the page of a mail folder, for services that run as processes of their own.
pub fn page() -> ExitCode {
    run_service(Service::Waypost, |settings, tasks| async move {
        let folder = settings
            .mail
            .url
            .expose_secret()
            .strip_prefix("file://")
            .map(Into::into);
        anyhow::ensure!(
            folder.is_some(),
            "mail.url is no file:// folder; there is nothing to show"
        );
        crate::page::serve(&settings, folder, None, &tasks)?;
        anyhow::Ok(())
    })
}
