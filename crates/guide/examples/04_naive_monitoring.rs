//! The smallest monitoring, and what it gets wrong: a label without end, a coin in each service, spans that never left.
//!
//! `cargo run --example 04_naive_monitoring -- cardinality` (or `sampling`, `lost-spans`)
#![expect(clippy::print_stdout, reason = "it prints what it shows")]

use std::time::Duration;

use clap::{Parser, ValueEnum};
use common::config::Service;
use common::telemetry::{HttpLabels, Metrics, Sampling, TraceContext};

/// People who read their profile, once each.
const PEOPLE: u32 = 1000;
/// Journeys through the services.
const JOURNEYS: u32 = 1000;
/// Services that a journey comes through.
const SERVICES: usize = 3;
/// Share of journeys that are to be recorded.
const RATIO: f64 = 0.1;
/// Spans that are sent at a time.
const BATCH: usize = 100;
/// Requests of a process, of which the last one brings it down.
const REQUESTS: usize = 250;

#[derive(Parser)]
struct Arguments {
    fault: Fault,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    Cardinality,
    Sampling,
    LostSpans,
}

/// Counts a request, and keeps how long it took, under the path that was asked for.
fn count(metrics: &Metrics, path: String, took: Duration) {
    let labels = HttpLabels {
        http_request_method: "GET".into(),
        http_route: path.into(),
        http_response_status_code: 200,
    };
    metrics.http_server(&labels, took);
}

/// Whether a service records its part of a journey: it tosses a coin.
fn is_recorded() -> bool {
    matches!(Sampling::decide(None, RATIO, true), Sampling::Record(_))
}

/// Sends the spans that have ended, a batch at a time.
#[derive(Default)]
struct Exporter {
    waiting: Vec<&'static str>,
    collector: Vec<&'static str>,
}

impl Exporter {
    fn ended(&mut self, span: &'static str) {
        self.waiting.push(span);
        if self.waiting.len() == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.collector.append(&mut self.waiting);
    }
}

fn main() {
    match Arguments::parse().fault {
        Fault::Cardinality => cardinality(),
        Fault::Sampling => sampling(),
        Fault::LostSpans => lost_spans(),
    }
}

/// Everybody reads their own profile: a path for each of them, one route for all.
fn cardinality() {
    println!("{PEOPLE} people read their profile{:<12}series  bytes at /metrics", "");
    let (paths, routes) = (Metrics::new(Service::UserApi), Metrics::new(Service::UserApi));
    for person in 0..PEOPLE {
        let took = Duration::from_millis(3);
        count(&paths, format!("/v1/users/{person:04}"), took);
        count(&routes, "/v1/users/{id}".to_owned(), took);
    }
    for (label, metrics) in [("the path is the label", paths), ("the route is the label", routes)] {
        let text = metrics.render();
        let series: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("http_server_request_duration"))
            .collect();
        println!("{label:<40}{:<8}{}", series.len(), series.join("\n").len());
    }
}

/// Whether a service records its part: as the one before it did, when that says so; else it tosses a coin.
fn is_recorded_behind(before: Option<bool>) -> bool {
    let flag = before.map(|recorded| if recorded { "01" } else { "00" });
    let came = flag.map(|flag| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flag}"));
    let context = TraceContext::parse(came.as_deref(), None);
    matches!(Sampling::decide(context, RATIO, true), Sampling::Record(_))
}

/// Journeys of which all, some, or none of the parts were recorded.
fn sampling() {
    println!(
        "{JOURNEYS} journeys through {SERVICES} services{:<10}whole  in part  not at all",
        ""
    );
    let (mut coins, mut flags) = ([0; SERVICES + 1], [0; SERVICES + 1]);
    for _ in 0..JOURNEYS {
        let parts = (0..SERVICES).filter(|_| is_recorded()).count();
        coins[parts] += 1;
        let mut before = None;
        let parts = (0..SERVICES)
            .filter(|_| *before.insert(is_recorded_behind(before)))
            .count();
        flags[parts] += 1;
    }
    for (who, parts) in [
        ("each service tosses its own coin", coins),
        ("the first tosses, its flag travels", flags),
    ] {
        let in_part = parts[1..SERVICES].iter().sum::<u32>();
        println!("{who}: {} {in_part} {}", parts[SERVICES], parts[0]);
    }
}

/// A process ends with its last request; what had not been sent by then is gone.
fn lost_spans() {
    for flushes in [false, true] {
        let mut exporter = Exporter::default();
        for request in 1..=REQUESTS {
            exporter.ended(if request == REQUESTS { "ERROR" } else { "ok" });
        }
        if flushes {
            exporter.flush();
        }
        let failed = exporter.collector.iter().filter(|span| **span == "ERROR");
        println!(
            "{:<34}{REQUESTS} spans ended, {} arrived, {} of the request that failed",
            if flushes {
                "sends what waits before it ends"
            } else {
                "ends as it is"
            },
            exporter.collector.len(),
            failed.count()
        );
    }
}
