//! How a command ends: 0 when all was done, 1 when something was not.

use std::process::ExitCode;

/// Passes on the error that broke the work off; otherwise the exit code, by whether all was done that was asked for.
pub(super) fn end(work: anyhow::Result<()>, is_all: bool) -> anyhow::Result<ExitCode> {
    work?;
    Ok(if is_all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
