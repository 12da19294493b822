//! The sandbox as a process of its own.

mod ending;

use clap::Parser;
use ending::Ending;
use provider_sandbox::{Config, start};
use tokio_util::sync::CancellationToken;

/// A stand-in for external providers, with faults to switch on.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; default `WAYPOST__PROVIDER_SANDBOX__HTTP__ADDRESS`, `WAYPOST__HTTP__ADDRESS`, 127.0.0.1:8090
    #[arg(long)]
    address: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = Arguments::parse()
        .address
        .or_else(|| from_environment("WAYPOST__PROVIDER_SANDBOX__HTTP__ADDRESS"))
        .or_else(|| from_environment("WAYPOST__HTTP__ADDRESS"))
        .unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let stop = CancellationToken::new();
    let ending = Ending::listen()?;
    let running = start(Config { address }, stop.clone())?;
    tracing::info!(address = %running.address, "the provider sandbox is up");
    ending.asked().await;
    stop.cancel();
    running.finished().await?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "two keys; the sandbox does not depend on common"
)]
fn from_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}
