//! Calls to a provider that fails in several ways: by hand, and through the house's layers.
//!
//! `cargo run --example 03_external_api`: the provider is the sandbox, in this process, on a port of its own.
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

#[path = "03_external_api/provider.rs"]
mod provider;

use std::time::Duration;

use common::config::Service;
use common::outbound::{Destination, Outbound, OutboundClient, Repeat};
use common::process::{State, Tasks};
use common::resilience::{Backoff, BreakerOptions, Breakers};
use common::store::{Store, Timeouts};
use common::telemetry::Metrics;
use futures_util::{StreamExt, stream};
use provider_sandbox::Config;
use reqwest::Method;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::provider::Provider;

/// Messages that are sent while the provider is in one state.
const CALLS: usize = 40;
/// Of them at a time.
const AT_ONCE: usize = 4;
/// One try, and all of a call.
const TRY: Duration = Duration::from_millis(200);
const CALL: Duration = Duration::from_secs(2);
/// How long the breaker is open at first.
const OPEN: Duration = Duration::from_millis(500);

/// By hand: a time-out, four tries, whatever the failure.
async fn by_hand(provider: &Provider) -> anyhow::Result<bool> {
    for _ in 0..4 {
        let request = provider.message(|url| provider.plain.post(url))?;
        let answer = request.timeout(TRY).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Through the layers. The provider knows a repetition by its key, so that the POST may be repeated.
async fn by_the_house(provider: &Provider, client: &OutboundClient) -> anyhow::Result<bool> {
    let request = provider.message(|url| client.request(Method::POST, url))?;
    let answer = client.execute(request, Repeat::Safe).await;
    Ok(answer.is_ok_and(|answer| answer.status.is_success()))
}

/// How this provider is called. All times are short, so that nobody waits for the example.
fn destination() -> Destination {
    let usual = Destination::new("sms", CALL, TRY);
    Destination {
        backoff: Backoff {
            first: Duration::from_millis(20),
            limit: TRY,
        },
        breaker: BreakerOptions {
            window_calls: 20,
            minimum_calls: 20,
            open_first: OPEN,
            ..usual.breaker
        },
        ..usual
    }
}

/// Makes all calls of one state; how many were answered.
async fn all<F: Future<Output = anyhow::Result<bool>>>(call: impl Fn() -> F) -> anyhow::Result<usize> {
    let calls: Vec<_> = stream::iter(0..CALLS)
        .map(|_| call())
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    calls.into_iter().map(|answered| answered.map(usize::from)).sum()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let tasks = Tasks::new(Service::NotificationGateway);
    let address = "127.0.0.1:0".to_owned();
    let sandbox = provider_sandbox::start(Config { address }, tasks.stopping().clone())?;
    let provider = Provider::at(sandbox.address)?;
    let outbound = Outbound {
        metrics: Metrics::new(Service::NotificationGateway),
        store: Store::open("memory://", "", Timeouts::default(), &tasks)?,
        breakers: Breakers::default(),
    };
    let client = outbound.client(&destination())?;
    println!("{:<24}by hand               by the house", "");
    println!(
        "{:<24}answered  requests    answered  breaker   requests",
        "the provider"
    );
    for (state, fault) in [
        ("is well", json!({})),
        ("fails one time in ten", json!({"error_rate": 0.1})),
        ("is down", json!({"status": 503})),
        ("hangs", json!({"mode": "hang"})),
        ("is well again", json!({})),
    ] {
        provider.becomes(&fault).await?;
        let answered = all(|| by_hand(&provider)).await?;
        let asked_by_hand = provider.asked().await?;
        if state == "is well again" {
            found_again(&provider, &client).await?;
        }
        provider.becomes(&fault).await?;
        let answered_too = all(|| by_the_house(&provider, &client)).await?;
        let asked_by_house = provider.asked().await?;
        let breaker = match client.state() {
            State::Down => "open",
            State::Degraded => "half-open",
            State::Up => "closed",
        };
        println!("{state:<24}{answered:<10}{asked_by_hand:<12}{answered_too:<10}{breaker:<10}{asked_by_house}");
    }
    tasks.shut_down(CALL).await?;
    Ok(sandbox.finished().await?)
}

/// Calls now and then, until the breaker has found out by itself that the provider is well.
async fn found_again(provider: &Provider, client: &OutboundClient) -> anyhow::Result<()> {
    let found = async {
        while client.state() != State::Up {
            by_the_house(provider, client).await?;
            sleep(OPEN / 10).await;
        }
        anyhow::Ok(())
    };
    timeout(OPEN * 120, found).await?
}
