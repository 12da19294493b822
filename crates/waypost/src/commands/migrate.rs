//! `waypost migrate`: brings every database up to date.

use std::process::ExitCode;

use common::config::{Service, load};

use super::complete::complete;

/// `waypost migrate`
#[expect(clippy::print_stdout, reason = "this is a command line")]
pub fn migrate() -> ExitCode {
    complete(async {
        for service in Service::WITH_DATABASE {
            crate::migrate::migrate(&load(service)?, service).await?;
            println!("{service}: up to date");
        }
        Ok(ExitCode::SUCCESS)
    })
}
