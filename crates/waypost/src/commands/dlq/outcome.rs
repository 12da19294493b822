//! How a command ends: 0 when all was done, 1 when something was not.

use std::process::ExitCode;

/// The exit code of work that was broken off by an error, or has done all, or not all of what it was asked for.
pub(super) fn end(work: anyhow::Result<()>, is_all: bool) -> anyhow::Result<ExitCode> {
    work?;
    Ok(if is_all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
