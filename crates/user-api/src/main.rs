//! The binary `user-api`: the service alone in a process.

use std::process::ExitCode;

use common::process::run_binary;
use user_api::{Backends, start};

fn main() -> ExitCode {
    run_binary(|settings, tasks| start(settings, Backends::default(), tasks))
}
