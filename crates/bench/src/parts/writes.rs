//! `POST /v1/users` as fast as it goes, beside a transaction that writes the same rows.

use std::time::Duration;

use super::{
    figures::{median, millis},
    relay::wait_until_empty,
};
use crate::{
    cores::{Cores, processor_time},
    effort::Effort,
    load::{NUMBER, saturate},
    report::{Check, Part, Row},
    roles::Role,
    stack::{Server, Stack, sign_up},
    usage::Usage,
};

const TARGET: f64 = 0.6;

/// What one server did in one turn.
struct Turn {
    per_second: f64,
    /// Microseconds of the processor that one request cost.
    cost: f64,
    p50: f64,
    p99: f64,
}

pub(crate) async fn writes(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    // A database each: the relay of the one is not to meet the other's rows.
    let (own, ceiling) = (Stack::new(cores).await?, Stack::new(cores).await?);
    // The limit lets everybody in: what the server can do is measured, not whom it turns away.
    let everybody_let_in = [("WAYPOST__OVERLOAD__LEAST", "512".to_owned())];
    let servers = [
        ceiling.start(Role::Transaction, &[]).await?,
        own.start(Role::UserApi, &everybody_let_in).await?,
    ];
    let outbox = own.connect("user_api").await?;
    let mut turns: [Vec<Turn>; 2] = [Vec::new(), Vec::new()];
    let mut bottleneck = String::new();
    for round in 0..=effort.rounds {
        for (server, turns) in servers.iter().zip(&mut turns) {
            let usage = Usage::now();
            let turn = take(server, round, effort.turn).await?;
            bottleneck = usage.bottleneck("The sign-up");
            // The first round is the warm-up.
            if round > 0 {
                turns.push(turn);
            }
        }
        // The relay may still be at work, and the next turn of the ceiling needs the machine for itself.
        wait_until_empty(&outbox).await?;
    }
    Ok(compare(&turns, bottleneck, effort))
}

async fn take(server: &Server, round: usize, length: Duration) -> anyhow::Result<Turn> {
    let before = processor_time(&server.process)?;
    let request = sign_up(&format!("writer{round}-{NUMBER}@bench.example"));
    let done = saturate(server.address, &[request], length).await?;
    let used = processor_time(&server.process)?.saturating_sub(before).as_secs_f64();
    Ok(Turn {
        per_second: done.per_second(),
        cost: used * 1e6 / (done.per_second() * done.took.as_secs_f64()),
        p50: millis(done.p50),
        p99: millis(done.p99),
    })
}

fn compare([ceiling, own]: &[Vec<Turn>; 2], bottleneck: String, effort: Effort) -> Part {
    let middle = |turns: &[Turn], value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let ratios = own.iter().zip(ceiling);
    let measured = median(
        ratios
            .map(|(own, ceiling)| own.per_second / ceiling.per_second)
            .collect(),
    );
    let row = |name, turns: &[Turn], ratio| {
        let figures = [
            ("requests/s", middle(turns, |turn| turn.per_second)),
            ("of bare", ratio),
            ("CPU us/request", middle(turns, |turn| turn.cost)),
            ("p50 ms", middle(turns, |turn| turn.p50)),
            ("p99 ms", middle(turns, |turn| turn.p99)),
        ];
        Row::new(name, &figures)
    };
    Part {
        title: "POST /v1/users as fast as it goes",
        conditions: vec![
            format!(
                "closed loop, 64 connections, {} turns of {:?} each, medians",
                effort.rounds, effort.turn
            ),
            "cheap passwords (argon2 8 KiB, 1 iteration); the workers are stopped, the relay publishes meanwhile"
                .to_owned(),
        ],
        rows: vec![
            row("bare handler, the same rows in a transaction", ceiling, 1.0),
            row("user-api", own, measured),
        ],
        checks: vec![Check {
            what: "user-api / bare handler with the transaction, requests/s",
            measured,
            target: ">= 0.60",
            holds: measured >= TARGET,
        }],
        bottleneck,
    }
}
