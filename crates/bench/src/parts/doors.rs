//! What the rate limits and the concurrency limits cost a read that the process answers, each alone and both.

use super::turns::{bare, beside, nearness, rows, take_turns};
use crate::{
    collector::Collector,
    cores::Cores,
    effort::Effort,
    report::{Check, Part},
    roles::Role,
    stack::{Stack, reads_of},
    usage::Usage,
};

/// As many as there are connections.
const PEOPLE: usize = 64;
const TARGET: f64 = 0.60;
/// Where each server stands among those that are measured.
const WITHOUT: usize = 1;
const RATE_LIMITS: usize = 2;
const CONCURRENCY_LIMITS: usize = 3;
const EVERYTHING: usize = 4;

pub(crate) async fn doors(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let telemetry = collector.telemetry();
    let api = stack.start(Role::UserApi, &telemetry).await?;
    let requests = reads_of(&api.people(PEOPLE).await?);
    let body = api.body(&requests[0]).await?;
    let servers = [
        ("bare actix-web handler, the same bytes", bare(&stack, &body).await?),
        (
            "user-api without limits",
            stack.start(Role::WithoutDoors, &telemetry).await?,
        ),
        (
            "with rate limits alone",
            stack.start(Role::RateLimitsAlone, &telemetry).await?,
        ),
        (
            "with concurrency limits alone",
            stack.start(Role::ConcurrencyLimitsAlone, &telemetry).await?,
        ),
        ("user-api, everything on", api),
    ];
    let usage = Usage::now();
    let turns = take_turns(&servers, &requests, effort).await?;
    let bottleneck = usage.bottleneck("The read");
    let sides: Vec<_> = servers.iter().map(|(name, _)| *name).zip(turns).collect();
    let costs = |side: usize| 100.0 * (beside(&sides[side].1, &sides[WITHOUT].1, |turn| turn.cost) - 1.0);
    let measured = nearness(&sides[EVERYTHING].1, &sides[0].1);
    Ok(Part {
        title: "What the doors cost a read that the process answers",
        conditions: vec![
            format!(
                "token check, tracing at 10% to a collector, metrics; {} bytes, {PEOPLE} people, none over a limit",
                body.len()
            ),
            format!(
                "closed loop, 64 connections, {} turns of {:?} each, medians",
                effort.rounds, effort.turn
            ),
            format!(
                "CPU a request beside user-api without limits: rate limits {:+.0}%, concurrency limits {:+.0}%, both {:+.0}%",
                costs(RATE_LIMITS),
                costs(CONCURRENCY_LIMITS),
                costs(EVERYTHING)
            ),
        ],
        rows: rows(&sides),
        checks: vec![Check {
            what: "everything on / bare handler, the lower of requests/s and cost",
            measured,
            target: ">= 0.60",
            holds: measured >= TARGET,
        }],
        bottleneck,
    })
}
