//! The layers around calls to other systems, over the sandbox: each way in which a provider fails, at a hundred calls a second.
//!
//! Judged are counts: calls that reached the provider, what callers got, whether it is found again. Times are printed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::config::Service;
use common::outbound::{Destination, Outbound, OutboundClient, Repeat};
use common::process::{State, Tasks};
use common::resilience::{BreakerOptions, Breakers};
use common::store::{Store, Timeouts};
use common::telemetry::Metrics;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use test_support::eventually;
use tokio::time::{MissedTickBehavior, interval};

use super::for_a_while;
use crate::client::PATIENCE;

/// Calls a second, to each of both providers.
const RATE: u32 = 100;
const WELL: Duration = Duration::from_secs(1);

/// For how long a provider fails, and for how long each time where it flaps.
#[derive(Clone, Copy)]
struct Lengths {
    ill: Duration,
    flap: Duration,
}

const SHORT: Lengths = Lengths {
    ill: Duration::from_secs(5),
    flap: Duration::from_secs(1),
};
const LONG: Lengths = Lengths {
    ill: Duration::from_mins(1),
    flap: Duration::from_secs(5),
};

/// One way to fail.
struct Row {
    name: &'static str,
    fault: Fault,
    /// Whether the breaker is to open.
    opens: bool,
}

enum Fault {
    /// Of the sandbox.
    Of(Value),
    /// On for a while, off for as long.
    Flapping(Value),
    /// What is called in place of the sandbox while it lasts.
    Leads(fn(&str) -> String),
}

fn rows() -> Vec<Row> {
    let row = |name, fault, opens| Row { name, fault, opens };
    let of = |fault| Fault::Of(fault);
    vec![
        row("10 s late", of(json!({"latency_ms": 10_000})), true),
        row("hangs", of(json!({"mode": "hang"})), true),
        row("500", of(json!({"status": 500})), true),
        row("30% errors", of(json!({"error_rate": 0.3})), false),
        row(
            "429, Retry-After",
            of(json!({"status": 429, "retry_after_s": 1})),
            false,
        ),
        row("drips", of(json!({"mode": "drip"})), true),
        row("endless", of(json!({"mode": "endless"})), true),
        row("resets", of(json!({"mode": "reset"})), true),
        row("garbage", of(json!({"mode": "garbage"})), false),
        row("bad TLS", Fault::Leads(|address| format!("https://{address}")), true),
        row("no DNS", Fault::Leads(|_| "http://provider.invalid".to_owned()), true),
        row("flapping", Fault::Flapping(json!({"status": 503})), true),
    ]
}

/// A provider, the client that calls it, and what came of the calls.
struct Provider {
    sandbox: provider_sandbox::Running,
    client: OutboundClient,
    http: reqwest::Client,
    is_led_astray: AtomicBool,
}

/// What callers got.
#[derive(Default)]
struct Tally {
    calls: u64,
    by_end: BTreeMap<String, u64>,
    took: Vec<Duration>,
}

impl Provider {
    fn start(name: &'static str, outbound: &Outbound, tasks: &Tasks) -> Self {
        let config = provider_sandbox::Config {
            address: "127.0.0.1:0".into(),
        };
        let sandbox = provider_sandbox::start(config, tasks.stopping().clone()).unwrap();
        let usual = Destination::new(name, Duration::from_secs(2), Duration::from_millis(800));
        let destination = Destination {
            places: 200,
            breaker: BreakerOptions {
                open_first: Duration::from_secs(1),
                open_limit: Duration::from_secs(2),
                ..usual.breaker
            },
            ..usual
        };
        Self {
            sandbox,
            client: outbound.client(&destination).unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            is_led_astray: AtomicBool::new(false),
        }
    }

    fn address(&self) -> String {
        self.sandbox.address.to_string()
    }

    async fn fails(&self, fault: Option<&Value>) {
        let url = format!("http://{}/sandbox/faults/push", self.address());
        let request = match fault {
            Some(fault) => self.http.put(url).json(fault),
            None => self.http.delete(url),
        };
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// How many calls it was asked for.
    async fn seen(&self) -> u64 {
        let url = format!("http://{}/sandbox/requests?provider=push", self.address());
        let list: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        list["items"].as_array().unwrap().len() as u64
    }

    async fn call(&self, astray: Option<fn(&str) -> String>) -> Result<u16, String> {
        let base = match astray {
            Some(leads) if self.is_led_astray.load(Ordering::Relaxed) => leads(&self.address()),
            _ => format!("http://{}", self.address()),
        };
        let url: Url = format!("{base}/v1/projects/a/messages:send").parse().unwrap();
        let request = self.client.request(Method::POST, url).body("{}");
        match self.client.execute(request, Repeat::Safe).await {
            Ok(answer) => Ok(answer.status.as_u16()),
            Err(error) => Err(error.kind().to_owned()),
        }
    }

    /// Calls it at the rate until `stop`, however long each call takes.
    async fn under_load(self: Arc<Self>, astray: Option<fn(&str) -> String>, stop: Arc<AtomicBool>) -> Tally {
        let mut beats = interval(Duration::from_secs(1) / RATE);
        beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut calls = tokio::task::JoinSet::new();
        while !stop.load(Ordering::Relaxed) {
            beats.tick().await;
            let provider = Arc::clone(&self);
            calls.spawn(async move {
                let began = Instant::now();
                (provider.call(astray).await, began.elapsed())
            });
        }
        let mut tally = Tally::default();
        for (outcome, took) in calls.join_all().await {
            tally.calls += 1;
            tally.took.push(took);
            let end = match outcome {
                Ok(status) if (200..300).contains(&status) => "answered".to_owned(),
                Ok(status) => status.to_string(),
                Err(kind) => kind,
            };
            *tally.by_end.entry(end).or_default() += 1;
        }
        tally
    }
}

fn p99(took: &[Duration]) -> Duration {
    let mut took = took.to_vec();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Runs one row; answers with what was found wrong.
async fn run(row: Row, lengths: Lengths) -> Result<(), String> {
    let (tasks, metrics) = (
        Tasks::new(Service::NotificationGateway),
        Metrics::new(Service::NotificationGateway),
    );
    let outbound = Outbound {
        store: Store::open("memory://", "", Timeouts::default(), &tasks).unwrap(),
        breakers: Breakers::default(),
        metrics: metrics.clone(),
    };
    let ill = Arc::new(Provider::start("ill", &outbound, &tasks));
    let well = Arc::new(Provider::start("well", &outbound, &tasks));
    let astray = match row.fault {
        Fault::Leads(leads) => Some(leads),
        Fault::Of(_) | Fault::Flapping(_) => None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (of_ill, of_well, (opened, recovered)) = tokio::join!(
        Arc::clone(&ill).under_load(astray, Arc::clone(&stop)),
        Arc::clone(&well).under_load(None, Arc::clone(&stop)),
        fails_and_is_repaired(&ill, (&row.fault, lengths), &stop),
    );
    let seen = ill.seen().await;
    println!(
        "{:<18} {} calls, {seen} made, {:?}; open after {opened:?}, {} times, found again after {recovered:?}; the other's p99 {:?}",
        row.name,
        of_ill.calls,
        of_ill.by_end,
        openings(&metrics),
        p99(&of_well.took)
    );
    let answered = |tally: &Tally| tally.by_end.get("answered").copied().unwrap_or_default();
    let checks = [
        (
            seen * 100 <= of_ill.calls * 115,
            "it was called more than 1.15 times as often as asked",
        ),
        (
            row.opens == opened.is_some(),
            "the breaker opened, or did not, against what is said",
        ),
        (answered(&of_ill) > 0, "nobody got an answer"),
        (
            answered(&of_well) == of_well.calls,
            "the other provider's callers noticed",
        ),
    ];
    let _ = tasks.shut_down(Duration::from_secs(5)).await;
    let wrong = checks.iter().filter(|(holds, _)| !holds).map(|(_, what)| *what);
    let wrong = wrong.collect::<Vec<_>>().join(", ");
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {wrong}", row.name))
}

/// How often the breaker of the one that fails has opened.
fn openings(metrics: &Metrics) -> String {
    let metrics = metrics.render();
    let is_it = |line: &&str| {
        line.starts_with("waypost_breaker_transitions_total{")
            && line.contains("destination=\"ill\"")
            && line.contains("to=\"open\"")
    };
    let line = metrics.lines().find(is_it);
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or("?").to_owned()
}

/// After a while under load the provider fails, then is well again; answers when the breaker opened, and how long it took to
/// find it again.
async fn fails_and_is_repaired(
    ill: &Provider,
    (fault, lengths): (&Fault, Lengths),
    stop: &AtomicBool,
) -> (Option<Duration>, Duration) {
    for_a_while(WELL).await;
    let began = Instant::now();
    let opened = async {
        while ill.client.state() != State::Down && began.elapsed() < lengths.ill {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (began.elapsed() < lengths.ill).then(|| began.elapsed())
    };
    let (opened, ()) = tokio::join!(opened, misbehave(ill, fault, lengths));
    let repaired = Instant::now();
    eventually(PATIENCE, || async { ill.client.state() == State::Up }).await;
    let recovered = repaired.elapsed();
    for_a_while(WELL).await;
    stop.store(true, Ordering::Relaxed);
    (opened, recovered)
}

/// Has the provider fail for a while, as the row says.
async fn misbehave(ill: &Provider, fault: &Fault, lengths: Lengths) {
    match fault {
        Fault::Of(fault) => {
            ill.fails(Some(fault)).await;
            for_a_while(lengths.ill).await;
        }
        Fault::Flapping(fault) => {
            let began = Instant::now();
            while began.elapsed() < lengths.ill {
                ill.fails(Some(fault)).await;
                for_a_while(lengths.flap).await;
                ill.fails(None).await;
                for_a_while(lengths.flap).await;
            }
        }
        Fault::Leads(_) => {
            ill.is_led_astray.store(true, Ordering::Relaxed);
            for_a_while(lengths.ill).await;
            ill.is_led_astray.store(false, Ordering::Relaxed);
        }
    }
    ill.fails(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_costs_the_provider_few_calls_and_the_other_provider_nothing() {
    nobody_pays_for(rows(), SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make test-long"]
async fn a_minute_of_errors_and_of_flapping_costs_the_provider_few_calls_and_the_other_provider_nothing() {
    let long = ["500", "flapping"];
    let rows: Vec<_> = rows().into_iter().filter(|row| long.contains(&row.name)).collect();
    assert_eq!(rows.len(), long.len());
    nobody_pays_for(rows, LONG).await;
}

async fn nobody_pays_for(mut left: Vec<Row>, lengths: Lengths) {
    let mut wrong = Vec::new();
    while !left.is_empty() {
        let together = left.split_off(left.len().saturating_sub(3));
        let together = together.into_iter().map(|row| run(row, lengths));
        wrong.extend(
            futures_util::future::join_all(together)
                .await
                .into_iter()
                .filter_map(Result::err),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
