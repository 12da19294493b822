//! `POST /v1/users` while the mail server is slow: nobody who signs up may notice.

use std::time::Duration;

use anyhow::bail;
use test_support::{Answer, SmtpReceiver, Stage};
use tokio::time::{Instant, sleep};

use super::figures::{median, millis};
use crate::{
    cores::Cores,
    effort::Effort,
    load::{Arrival, open_loop_to, percentile},
    report::{Check, Part, Row},
    roles::Role,
    stack::{Stack, sign_up},
    usage::Usage,
};

/// Sign-ups a second.
const RATE: f64 = 40.0;
/// How late the slow mail server answers.
const SLOW: Duration = Duration::from_secs(2);
const TARGET: f64 = 1.2;
/// How many times as long a turn is as elsewhere: a p99 needs some hundreds of requests.
const TURN: u32 = 2;
/// The mails of one turn must have left by then.
const DRAINED: Duration = Duration::from_mins(1);

pub(crate) async fn sign_ups(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let smtp = SmtpReceiver::start().await;
    let stack = Stack::new(cores).await?;
    let api = stack.start(Role::UserApi, &[]).await?;
    let mail = [("WAYPOST__MAIL__URL", smtp.url())];
    let _worker = stack.start(Role::EmailWorker, &mail).await?;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests"
    )]
    let count = (RATE * (effort.turn * TURN).as_secs_f64()) as usize;
    let sides = ["instant", "slow"];
    let mut turns: [Vec<Turn>; 2] = [Vec::new(), Vec::new()];
    let mut sent = 0;
    let mut bottleneck = String::new();
    for round in 0..=effort.rounds {
        for (side, turns) in sides.iter().zip(&mut turns) {
            let slow = (*side == "slow").then(|| Answer::say(250, "kept").after(SLOW));
            smtp.always(Stage::Text, slow);
            // The first round is the warm-up.
            let count = if round == 0 { 40 } else { count };
            let requests = (0..count).map(|n| sign_up(&format!("{side}{round}-{n}@bench.example")));
            let usage = Usage::now();
            let arrivals = open_loop_to(api.address, RATE, requests, 201).await?;
            bottleneck = usage.bottleneck("The sign-up beside a slow mail server");
            if round > 0 {
                turns.push(Turn::of(&arrivals));
            }
            sent += count;
            smtp.always(Stage::Text, None);
            drain(&smtp, sent).await?;
        }
    }
    Ok(compare(&turns, bottleneck, count, effort))
}

/// What the sign-ups of one turn took, in milliseconds.
struct Turn {
    p50: f64,
    p99: f64,
    most: f64,
}

impl Turn {
    fn of(arrivals: &[Arrival]) -> Self {
        let mut latencies: Vec<_> = arrivals.iter().map(|arrival| arrival.latency).collect();
        latencies.sort_unstable();
        let at = |share| millis(percentile(&latencies, share));
        Self {
            p50: at(0.50),
            p99: at(0.99),
            most: at(1.0),
        }
    }
}

async fn drain(smtp: &SmtpReceiver, mails: usize) -> anyhow::Result<()> {
    let end = Instant::now() + DRAINED;
    while smtp.mails().len() < mails {
        if Instant::now() > end {
            bail!("{} of {mails} mails came", smtp.mails().len());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn compare([instant, slow]: &[Vec<Turn>; 2], bottleneck: String, count: usize, effort: Effort) -> Part {
    let middle = |turns: &[Turn], value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let row = |name: &str, turns: &[Turn]| {
        Row::new(
            name,
            &[
                ("p50 ms", middle(turns, |turn| turn.p50)),
                ("p99 ms", middle(turns, |turn| turn.p99)),
                ("max ms", turns.iter().map(|turn| turn.most).fold(0.0, f64::max)),
            ],
        )
    };
    // Round by round: both sides of a ratio were measured seconds apart, and one stall decides one round only.
    let ratios = slow.iter().zip(instant).map(|(slow, instant)| slow.p99 / instant.p99);
    let measured = median(ratios.collect());
    Part {
        title: "POST /v1/users beside a slow mail server",
        conditions: vec![
            format!(
                "open loop, {RATE}/s, {} turns of {count} sign-ups each, medians; cheap passwords (argon2 8 KiB, 1 iteration)",
                effort.rounds
            ),
            "user-api and email-worker on one core; all mails came".to_owned(),
        ],
        rows: vec![
            row("mail server answers at once", instant),
            row("mail server answers after 2 s", slow),
        ],
        checks: vec![Check {
            what: "p99 slow / p99 instant",
            measured,
            target: "<= 1.2",
            holds: measured <= TARGET,
        }],
        bottleneck,
    }
}
