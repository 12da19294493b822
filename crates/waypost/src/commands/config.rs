use std::process::ExitCode;

use common::config::{Service, load};

use super::fail;

/// `waypost config`
#[expect(clippy::print_stdout, reason = "this is a command line")]
pub fn config() -> ExitCode {
    for service in Service::ALL {
        match load(service) {
            // Secrets are of a type whose Debug hides them.
            Ok(settings) => println!("{service} {settings:#?}"),
            Err(error) => return fail(&error),
        }
    }
    ExitCode::SUCCESS
}
