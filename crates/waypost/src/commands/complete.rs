//! How every command ends: its runtime, its exit code, its last words.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use common::config::Service;
use common::process::{chain, scope};

/// Prints the error of a command that failed, with its causes.
#[expect(clippy::print_stderr, reason = "this is a command line")]
pub(super) fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("waypost: {}", chain(error));
    ExitCode::FAILURE
}

/// Runs a command to its end, on a thread for each core, and on two at least.
pub(super) fn complete(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(scope(Service::Waypost, work));
        runtime.shutdown_timeout(Duration::from_millis(200));
        outcome
    });
    outcome.unwrap_or_else(|error| fail(error.as_ref()))
}
