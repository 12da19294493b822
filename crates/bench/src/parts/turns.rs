//! Servers that take turns under the same closed loop, and what each did.

use std::time::Duration;

use super::figures::{median, millis};
use crate::{
    cores::processor_time,
    effort::Effort,
    load::saturate,
    report::Row,
    roles::{BODY_FILE, Role},
    stack::{Server, Stack},
};

/// What one server did in one turn.
pub(super) struct Turn {
    pub(super) per_second: f64,
    /// Microseconds of the processor that one request cost.
    pub(super) cost: f64,
    /// Share of the time in which the server had its core.
    share: f64,
    p50: Duration,
    p99: Duration,
}

/// The ceiling: a handler that answers `body` and does nothing else.
pub(super) async fn bare(stack: &Stack<'_>, body: &[u8]) -> anyhow::Result<Server> {
    let file = stack.file("body.json");
    std::fs::write(&file, body)?;
    stack
        .start(Role::Bare, &[(BODY_FILE, file.display().to_string())])
        .await
}

/// Each server in turn, round by round.
pub(super) async fn take_turns(
    servers: &[(&str, Server)],
    requests: &[Vec<u8>],
    effort: Effort,
) -> anyhow::Result<Vec<Vec<Turn>>> {
    let mut turns: Vec<Vec<Turn>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=effort.rounds {
        for ((_, server), turns) in servers.iter().zip(&mut turns) {
            // The first round is the warm-up.
            let length = if round == 0 {
                Duration::from_secs(1)
            } else {
                effort.turn
            };
            let turn = take(server, requests, length).await?;
            if round > 0 {
                turns.push(turn);
            }
        }
    }
    Ok(turns)
}

async fn take(server: &Server, requests: &[Vec<u8>], length: Duration) -> anyhow::Result<Turn> {
    let before = processor_time(&server.process)?;
    let done = saturate(server.address, requests, length).await?;
    let used = processor_time(&server.process)?.saturating_sub(before).as_secs_f64();
    Ok(Turn {
        per_second: done.per_second(),
        cost: used * 1e6 / (done.per_second() * done.took.as_secs_f64()),
        share: used / done.took.as_secs_f64(),
        p50: done.p50,
        p99: done.p99,
    })
}

/// A row for each side; the first one is the ceiling of all.
pub(super) fn rows(sides: &[(&str, Vec<Turn>)]) -> Vec<Row> {
    let middle = |turns: &[Turn], value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let row = |(name, turns): &(&str, Vec<Turn>)| {
        Row::new(
            *name,
            &[
                ("requests/s", middle(turns, |turn| turn.per_second)),
                ("of bare", beside(turns, &sides[0].1, |turn| turn.per_second)),
                ("CPU us/request", middle(turns, |turn| turn.cost)),
                ("of its core", middle(turns, |turn| turn.share)),
                ("p50 ms", middle(turns, |turn| millis(turn.p50))),
                ("p99 ms", middle(turns, |turn| millis(turn.p99))),
            ],
        )
    };
    sides.iter().map(row).collect()
}

/// The median of the rounds' ratios. Both sides of a ratio come from one round, so they were measured seconds apart.
pub(super) fn beside(turns: &[Turn], ceiling: &[Turn], value: fn(&Turn) -> f64) -> f64 {
    let both = turns.iter().zip(ceiling);
    median(both.map(|(turn, ceiling)| value(turn) / value(ceiling)).collect())
}

/// How near these turns come to their ceiling: by requests a second or by what one costs, whichever is less.
///
/// On a core that others use too, requests a second depend on what the others leave at that moment; the cost of a request
/// does not.
pub(super) fn nearness(turns: &[Turn], ceiling: &[Turn]) -> f64 {
    let by_cost = 1.0 / beside(turns, ceiling, |turn| turn.cost);
    beside(turns, ceiling, |turn| turn.per_second).min(by_cost)
}
