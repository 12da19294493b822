//! `waypost demo`: one sign-up, watched from outside over HTTP.

mod journey;
mod report;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use common::config::{ConfigError, Service};
use common::telemetry::Telemetry;

use super::complete::complete;
use super::output::say;
use crate::embedded::{Addresses, Embedded};
use crate::settings::{Programs, Settings};

/// `waypost demo`
pub fn demo() -> ExitCode {
    // Boxed: three services' settings and parts make it large.
    complete(async { Box::pin(show()).await.map(|()| ExitCode::SUCCESS) })
}

async fn show() -> anyhow::Result<()> {
    let settings = quiet()?;
    let own = &settings.waypost;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(40)).build()?;
    if let Some(addresses) = running(&client, &settings).await? {
        say("Using the Waypost that runs already.");
        return watch(&client, &addresses, own).await;
    }
    say("Starting Waypost: three services and a sandbox provider, in this process.");
    let telemetry = Telemetry::start(Service::Waypost, own)?;
    let embedded = Embedded::start(&telemetry, &settings).await?;
    let outcome = tokio::select! {
        outcome = watch(&client, embedded.addresses(), own) => outcome,
        failure = embedded.failed() => Err(failure.into()),
    };
    embedded.stop(own.process.drain).await;
    telemetry.stop(Duration::from_secs(1)).await;
    if outcome.is_ok() {
        say("\nStopped what was started. `make run` keeps it up, to try things by hand.");
    }
    outcome
}

async fn watch(client: &reqwest::Client, at: &Addresses, own: &Settings) -> anyhow::Result<()> {
    let journey = journey::sign_up_and_watch(client, at).await?;
    report::journey(&journey, &own.telemetry.otlp_endpoint);
    Ok(())
}

/// Settings that log errors alone, unless they name a filter, so that the story can be read.
pub(super) fn quiet() -> Result<Programs, ConfigError> {
    let mut settings = Programs::load()?;
    settings.change_all(|settings| {
        if settings.telemetry.log_filter.is_empty() {
            "error".clone_into(&mut settings.telemetry.log_filter);
        }
    });
    Ok(settings)
}

/// The addresses in the settings, when a user-api answers there; `None` when none does.
pub(super) async fn running(client: &reqwest::Client, settings: &Programs) -> anyhow::Result<Option<Addresses>> {
    let (users, gateway) = (&settings.user_api, &settings.notification_gateway);
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
        email_worker_operations: parse(&settings.email_worker.operations.address)?,
        provider_sandbox: Some(parse(&settings.provider_sandbox.http.address)?),
        page: parse(&settings.waypost.own.mail.page_address).ok(),
    }))
}
