//! email-worker as a process of its own.

use std::process::ExitCode;

use common::process::run_binary;
use email_worker::{Backends, start};

fn main() -> ExitCode {
    run_binary(|settings, tasks| start(settings, Backends::default(), tasks))
}
