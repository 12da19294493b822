//! What the ceilings share: where their address comes from, and how they end.

use std::process::ExitCode;

/// The address that a ceiling listens on, from the setting that the services have theirs from.
#[expect(
    clippy::disallowed_methods,
    reason = "the ceilings have no settings, only this address"
)]
pub(super) fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).map_err(|_| anyhow::anyhow!("{name} is not set"))
}

pub(super) fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
