//! `waypost run`: keeps everything up in one process.

use std::process::ExitCode;

use common::config::Service;
use common::process::{Ending, log_panics};
use common::telemetry::Telemetry;

use super::complete::complete;
use super::output::say;
use crate::embedded::{Addresses, Embedded};
use crate::settings::Programs;

/// `waypost run`
pub fn run() -> ExitCode {
    complete(until_stopped())
}

async fn until_stopped() -> anyhow::Result<ExitCode> {
    let settings = Programs::load()?;
    let (drain, shutdown) = (settings.waypost.process.drain, settings.waypost.process.shutdown);
    let ending = Ending::within(shutdown)?;
    let telemetry = Telemetry::start(Service::Waypost, &settings.waypost)?;
    log_panics();
    let started = tokio::select! {
        () = ending.asked() => return Ok(ExitCode::SUCCESS),
        started = Embedded::start(&telemetry, &settings) => started,
    };
    let embedded = match started {
        Ok(embedded) => embedded,
        Err(error) => {
            ending.begin();
            return Err(error);
        }
    };
    tell(embedded.addresses());
    let outcome = tokio::select! {
        () = ending.asked() => Ok(ExitCode::SUCCESS),
        failure = embedded.failed() => Err(failure.into()),
    };
    let deadline = ending.begin();
    tracing::info!("waypost stops: finishing what is in hand");
    embedded.stop(drain.min(deadline.left())).await;
    telemetry
        .stop(shutdown.saturating_sub(drain).min(deadline.left()))
        .await;
    outcome
}

/// What a person needs who looks at this for the first time.
fn tell(at: &Addresses) {
    let (users, gateway) = (at.user_api, at.notification_gateway);
    match at.provider_sandbox {
        Some(_) => say("\nWaypost is up: three services and a sandbox provider in this process.\n"),
        None => say("\nWaypost is up: three services in this process.\n"),
    }
    say(&format!(
        "  user-api              http://{users}       API: http://{users}/docs"
    ));
    say(&format!(
        "  notification-gateway  http://{gateway}       API: http://{gateway}/docs"
    ));
    if let Some(sandbox) = at.provider_sandbox {
        say(&format!("  sandbox provider      http://{sandbox}/sandbox/requests"));
    }
    if let Some(page) = at.page {
        say(&format!("  mails and traces      http://{page}/"));
    }
    say(&format!(
        "  operations            http://{}/readyz, /metrics; also {} and {}",
        at.user_api_operations, at.notification_gateway_operations, at.email_worker_operations
    ));
    say("\nSign somebody up, log in, and watch the notifications arrive:\n");
    say(&format!(
        "  curl -i http://{users}/v1/users -H 'content-type: application/json' \\"
    ));
    say(r#"    -d '{"email":"ada@example.com","name":"Ada","password":"correct horse","phone":"+15550100"}'"#);
    say(&format!(
        "  TOKEN=$(curl -s http://{users}/v1/sessions -H 'content-type: application/json' \\"
    ));
    say(
        r#"    -d '{"email":"ada@example.com","password":"correct horse"}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')"#,
    );
    say(&format!(
        "  curl -N http://{gateway}/v1/notifications/stream -H \"authorization: Bearer $TOKEN\""
    ));
    say("\nStop with Ctrl-C.\n");
}
