//! The notification gateway as a process of its own.

use std::process::ExitCode;

use common::process::run_binary;
use notification_gateway::{Backends, start};

fn main() -> ExitCode {
    run_binary(|settings, tasks| start(settings, Backends { broker: None }, tasks))
}
