//! `waypost demo`: one sign-up, watched from outside over HTTP.

mod journey;
mod report;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use common::config::{ConfigError, Service, Settings, load};
use common::telemetry::Telemetry;

use super::complete::complete;
use crate::embedded::{Addresses, Embedded};

/// `waypost demo`
pub fn demo() -> ExitCode {
    // Boxed: three services' settings and parts make it large.
    complete(async { Box::pin(show()).await.map(|()| ExitCode::SUCCESS) })
}

async fn show() -> anyhow::Result<()> {
    let settings = quiet(Service::Waypost)?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(40)).build()?;
    if let Some(addresses) = running(&client).await? {
        report::line("Using the Waypost that runs already.");
        return watch(&client, &addresses, &settings).await;
    }
    report::line("Starting Waypost: three services and a sandbox provider, in this process.");
    let telemetry = Telemetry::start(Service::Waypost, &settings)?;
    let embedded = Embedded::start(&telemetry, quiet).await?;
    let outcome = tokio::select! {
        outcome = watch(&client, embedded.addresses(), &settings) => outcome,
        failure = embedded.failed() => Err(failure.into()),
    };
    embedded.stop(settings.process.drain).await;
    telemetry.stop(Duration::from_secs(1)).await;
    if outcome.is_ok() {
        report::line("\nStopped what was started. `make run` keeps it up, to try things by hand.");
    }
    outcome
}

async fn watch(client: &reqwest::Client, at: &Addresses, settings: &Settings) -> anyhow::Result<()> {
    let journey = journey::sign_up_and_watch(client, at).await?;
    report::journey(&journey, &settings.telemetry.otlp_endpoint);
    Ok(())
}

/// Settings with which only trouble is logged, so that the story can be read.
pub(super) fn quiet(service: Service) -> Result<Settings, ConfigError> {
    let mut settings = load(service)?;
    if settings.telemetry.log_filter.is_empty() {
        "error".clone_into(&mut settings.telemetry.log_filter);
    }
    Ok(settings)
}

/// The addresses of a Waypost that answers where the settings say; `None` when none does.
pub(super) async fn running(client: &reqwest::Client) -> anyhow::Result<Option<Addresses>> {
    let (users, gateway, worker) = (
        load(Service::UserApi)?,
        load(Service::NotificationGateway)?,
        load(Service::EmailWorker)?,
    );
    let sandbox = load(Service::ProviderSandbox)?;
    let parse = |address: &str| address.parse::<SocketAddr>();
    let version = format!("http://{}/version", users.operations.address);
    let answer = client.get(version).timeout(Duration::from_millis(500)).send().await;
    if !answer.is_ok_and(|answer| answer.status().is_success()) {
        return Ok(None);
    }
    Ok(Some(Addresses {
        user_api: parse(&users.http.address)?,
        user_api_operations: parse(&users.operations.address)?,
        notification_gateway: parse(&gateway.http.address)?,
        notification_gateway_operations: parse(&gateway.operations.address)?,
        email_worker_operations: parse(&worker.operations.address)?,
        provider_sandbox: Some(parse(&sandbox.http.address)?),
        page: parse(&users.mail.page_address).ok(),
    }))
}
