//! What the layers around a call to another system cost: their own decisions alone, and the chain beside a bare client.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use common::config::Service;
use common::outbound::{Destination, Outbound, OutboundClient};
use common::process::Tasks;
use common::resilience::{Breaker, BreakerOptions, Breakers, Bulkhead, Quota, RetryBudget, Verdict};
use common::store::{Store, Timeouts};
use common::telemetry::Metrics;
use reqwest::Url;

use super::figures::median;
use super::turns::bare;
use crate::{
    cores::Cores,
    effort::Effort,
    report::{Check, Part, Row},
    stack::Stack,
    usage::Usage,
};

/// Calls at a time.
const AT_A_TIME: usize = 64;
const DECISIONS: u32 = 200_000;
const DECISIONS_TARGET: f64 = 2.0;
const CHAIN_TARGET: f64 = 1.15;
const BODY: &[u8] = br#"{"sid": "SM00000000000000000000000000000000", "status": "queued"}"#;

pub(crate) async fn outbound(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let stack = Stack::new(cores).await?;
    let server = bare(&stack, BODY).await?;
    let url: Url = format!("http://{}/v1/users/a", server.address).parse()?;
    let tasks = Tasks::new(Service::NotificationGateway);
    let outbound = Outbound {
        metrics: Metrics::new(Service::NotificationGateway),
        store: Store::open("memory://", "bench", Timeouts::default(), &tasks)?,
        breakers: Breakers::default(),
    };
    let usual = Destination::new("bench", Duration::from_secs(5), Duration::from_secs(2));
    let chain = outbound.client(&Destination {
        places: AT_A_TIME,
        ..usual
    })?;
    let usage = Usage::now();
    let (mut decisions, mut through, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        decisions.push(decide());
        plain.push(calls_a_second(&Caller::Bare(client()?), &url, effort.turn).await?);
        through.push(calls_a_second(&Caller::Chain(chain.clone()), &url, effort.turn).await?);
    }
    let ratios = plain.iter().zip(&through).map(|(plain, chain)| plain / chain).collect();
    Ok(tell(
        (median(decisions), median(plain), median(through)),
        median(ratios),
        usage.bottleneck("The call"),
        effort,
    ))
}

/// Microseconds that breaker, budget, limit and bulkhead take together to let one call pass.
fn decide() -> f64 {
    let breaker = Breaker::new(BreakerOptions::default(), Instant::now());
    let (budget, places) = (RetryBudget::new(Instant::now()), Bulkhead::new(AT_A_TIME));
    let quota = Quota::leaky_bucket_within(6e7, Duration::from_secs(1));
    let (began, mut arrival) = (Instant::now(), 0);
    for n in 0..DECISIONS {
        budget.earn();
        let permit = breaker.admit(Instant::now());
        arrival = black_box(quota.draw(arrival, i64::from(n) * 10, 1)).arrival;
        let place = places.enter_at_once();
        if let Ok(permit) = permit {
            permit.report(Verdict::Success, Instant::now());
        }
        drop(black_box(place));
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

/// A bare client, made as the chain's own client is.
fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

#[derive(Clone)]
enum Caller {
    Bare(reqwest::Client),
    Chain(OutboundClient),
}

impl Caller {
    async fn call(&self, url: Url) -> anyhow::Result<()> {
        let bytes = match self {
            Self::Bare(client) => client.get(url).send().await?.bytes().await?,
            Self::Chain(client) => client.get(url).await?.body,
        };
        ensure!(bytes == BODY, "another answer");
        Ok(())
    }
}

async fn calls_a_second(caller: &Caller, url: &Url, turn: Duration) -> anyhow::Result<f64> {
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (caller, url, over, done) = (caller.clone(), url.clone(), Arc::clone(&over), Arc::clone(&done));
        callers.spawn(async move {
            while !over.load(Relaxed) {
                caller.call(url.clone()).await?;
                done.fetch_add(1, Relaxed);
            }
            anyhow::Ok(())
        });
    }
    let began = Instant::now();
    tokio::time::sleep(turn).await;
    let took = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let calls = done.load(Relaxed) as f64;
    over.store(true, Relaxed);
    while let Some(caller) = callers.join_next().await {
        caller?.context("a call failed")?;
    }
    Ok(calls / took)
}

fn tell((decisions, plain, chain): (f64, f64, f64), ratio: f64, bottleneck: String, effort: Effort) -> Part {
    Part {
        title: "Calls to other systems, and the layers around them",
        conditions: vec![
            format!(
                "{AT_A_TIME} calls at a time to a handler that answers {} bytes; all is well, no spans",
                BODY.len()
            ),
            format!(
                "{} turns of {:?} each, medians; decisions: {DECISIONS} in a row",
                effort.rounds, effort.turn
            ),
        ],
        rows: vec![
            Row::new("reqwest alone", &[("calls/s", plain), ("us a call", 1e6 / plain)]),
            Row::new("through the chain", &[("calls/s", chain), ("us a call", 1e6 / chain)]),
            Row::new("breaker, budget, limit and bulkhead alone", &[("us", decisions)]),
        ],
        checks: vec![
            Check {
                what: "time of a call through the chain / alone",
                measured: ratio,
                target: "<= 1.15",
                holds: ratio <= CHAIN_TARGET,
            },
            Check {
                what: "microseconds of our own decisions",
                measured: decisions,
                target: "<= 2.0",
                holds: decisions <= DECISIONS_TARGET,
            },
        ],
        bottleneck,
    }
}
