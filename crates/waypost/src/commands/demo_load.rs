//! `waypost demo-load`: a while of mixed life, so that dashboards and traces have something to show.

mod life;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use common::config::{BrokerUrl, Service};
use common::messaging::{Broker, OutboundMessage};
use common::process::{State, Tasks};
use common::telemetry::{Metrics, Telemetry};
use uuid::Uuid;

use super::complete::complete;
use super::demo::{quiet, running};
use super::output::say;
use crate::embedded::{Addresses, Embedded};
use crate::settings::Settings;

const BROKER_PATIENCE: Duration = Duration::from_secs(5);

/// `waypost demo-load --seconds <n>`
pub fn demo_load(seconds: u64) -> ExitCode {
    complete(async move {
        Box::pin(live(Duration::from_secs(seconds.max(1))))
            .await
            .map(|()| ExitCode::SUCCESS)
    })
}

async fn live(length: Duration) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let tasks = Tasks::new(Service::Waypost);
    let settings = quiet()?;
    let own = &settings.waypost;
    if let Some(at) = running(&client, &settings).await? {
        say("Using the Waypost that runs already.");
        let broker = reachable_broker(own, &tasks)?;
        let outcome = show(&client, &at, broker.as_ref(), length).await;
        let _ = tasks.shut_down(Duration::from_secs(2)).await;
        where_to_look(&at);
        return outcome;
    }
    say("Starting Waypost: three services and a sandbox provider, in this process.");
    let telemetry = Telemetry::start(Service::Waypost, own)?;
    let embedded = Embedded::start(&telemetry, &settings).await?;
    let broker = match embedded.broker() {
        Some(shared) => Some(shared.clone()),
        None => reachable_broker(own, &tasks)?,
    };
    let outcome = tokio::select! {
        outcome = show(&client, embedded.addresses(), broker.as_ref(), length) => outcome,
        failure = embedded.failed() => Err(failure.into()),
    };
    let _ = tasks.shut_down(Duration::from_secs(2)).await;
    embedded.stop(own.process.drain).await;
    telemetry.stop(Duration::from_secs(1)).await;
    say(
        "\nStopped what was started. With `make run` or `make up-native` beside it, there is more to look at afterwards.",
    );
    outcome
}

async fn show(
    client: &reqwest::Client,
    at: &Addresses,
    broker: Option<&Broker>,
    length: Duration,
) -> anyhow::Result<()> {
    say(&format!(
        "{} s of life: sign-ups, reads, mistakes, a provider that fails.",
        length.as_secs()
    ));
    let dead_letter = async {
        // In the middle of it all.
        tokio::time::sleep(length / 2).await;
        match broker {
            Some(broker) => unreadable(broker).await,
            None => Ok("none: no broker is set in WAYPOST__BROKER__URL, and one in the memory of another process can't be reached".to_owned()),
        }
    };
    let (tally, dead_letter) = tokio::join!(life::life(client, at, length), dead_letter);
    say(&format!(
        "\nsign-ups {}, reads {}, refused on purpose {}, failed {}",
        tally.sign_ups, tally.reads, tally.refused, tally.failed
    ));
    say(&format!("provider: {}", tally.provider));
    say(&format!(
        "dead letter: {}",
        dead_letter.unwrap_or_else(|error| format!("none: {error:#}"))
    ));
    anyhow::ensure!(tally.sign_ups > 0, "nobody could be signed up");
    Ok(())
}

fn where_to_look(at: &Addresses) {
    let metrics = |address: SocketAddr| format!("http://{address}/metrics");
    say(&format!(
        "\nLook at {}, {} and {}",
        metrics(at.user_api_operations),
        metrics(at.notification_gateway_operations),
        metrics(at.email_worker_operations)
    ));
    if let Some(page) = at.page {
        say(&format!("Mails and traces: http://{page}/"));
    }
}

/// The broker by the settings; `None` when it is one that lives in another process's memory.
fn reachable_broker(settings: &Settings, tasks: &Tasks) -> anyhow::Result<Option<Broker>> {
    if matches!(settings.broker.url, BrokerUrl::Memory) {
        return Ok(None);
    }
    let metrics = Metrics::new(Service::Waypost);
    Ok(Some(Broker::connect(settings, tasks, &metrics)?))
}

/// Publishes an event that no consumer can read.
async fn unreadable(broker: &Broker) -> anyhow::Result<String> {
    let connected = async {
        while broker.state() != State::Up {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(BROKER_PATIENCE, connected).await?;
    let id = Uuid::now_v7();
    let headers = [("cloudEvents_id", id.to_string())].map(|(name, value)| (name.to_owned(), value));
    let message = OutboundMessage::from_parts(id, "user.registered.v1".to_owned(), headers.into(), "{}".into());
    broker.publish(message).await?;
    Ok(format!("message {id}, in the dead letters of both workers"))
}
