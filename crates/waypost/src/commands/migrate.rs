//! `waypost migrate`: brings every database up to date.

use std::process::ExitCode;

use super::complete::complete;
use crate::settings::Programs;

/// `waypost migrate`
#[expect(clippy::print_stdout, reason = "this is a command line")]
pub fn migrate() -> ExitCode {
    complete(async {
        for (service, settings) in Programs::load()?.with_database() {
            crate::migrate::migrate(settings, service).await?;
            println!("{service}: up to date");
        }
        Ok(ExitCode::SUCCESS)
    })
}
