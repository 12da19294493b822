//! From a sign-up to the mail server's acceptance, with passwords as they are hashed in production.

use std::{collections::HashMap, time::Duration};

use anyhow::bail;
use test_support::SmtpReceiver;
use tokio::time::{Instant, sleep};

use super::figures::millis;
use crate::{
    cores::Cores,
    effort::Effort,
    load::{open_loop_to, percentile},
    report::{Part, Row},
    roles::Role,
    stack::{Stack, sign_up},
    usage::Usage,
};

/// Sign-ups a second.
const RATE: f64 = 20.0;
/// OWASP's parameters for argon2id, the built-in ones.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
/// The mails must have come by then.
const ARRIVED: Duration = Duration::from_mins(1);

pub(crate) async fn journey(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let smtp = SmtpReceiver::start().await;
    let stack = Stack::new(cores).await?;
    let passwords = [
        ("WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB", MEMORY_KIB.to_string()),
        ("WAYPOST__ACCOUNTS__ARGON2__ITERATIONS", ITERATIONS.to_string()),
    ];
    let api = stack.start(Role::UserApi, &passwords).await?;
    let mail = [("WAYPOST__MAIL__URL", smtp.url())];
    let _worker = stack.start(Role::EmailWorker, &mail).await?;

    // The warm-up: connections, statements, templates.
    let warm = (0..20).map(|n| sign_up(&format!("warm{n}@bench.example")));
    open_loop_to(api.address, RATE, warm, 201).await?;
    let length = effort.turn * u32::try_from(effort.rounds)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests"
    )]
    let count = (RATE * length.as_secs_f64()) as usize;
    let address = |n: usize| format!("p{n}@bench.example");
    let requests = (0..count).map(|n| sign_up(&address(n)));
    let usage = Usage::now();
    let arrivals = open_loop_to(api.address, RATE, requests, 201).await?;
    let bottleneck = usage.bottleneck("The sign-up");
    let mails = all_mails(&smtp, 20 + count).await?;
    let mut accepted = Vec::with_capacity(count);
    for (n, arrival) in arrivals.iter().enumerate() {
        let Some(at) = mails.get(&address(n)) else {
            bail!("no mail to {}", address(n));
        };
        accepted.push(at.saturating_duration_since(arrival.due));
    }
    let mut answered: Vec<_> = arrivals.iter().map(|arrival| arrival.latency).collect();
    answered.sort_unstable();
    accepted.sort_unstable();
    Ok(Part {
        title: "Sign-up to the mail server's acceptance",
        conditions: vec![
            format!("open loop, {RATE}/s, {count} sign-ups; user-api and email-worker on one core"),
            format!("passwords: argon2id, {MEMORY_KIB} KiB, {ITERATIONS} iterations, parallelism 1"),
        ],
        rows: vec![row("201 answered", &answered), row("mail accepted", &accepted)],
        checks: Vec::new(),
        bottleneck,
    })
}

/// When the mail to each address was accepted.
async fn all_mails(smtp: &SmtpReceiver, count: usize) -> anyhow::Result<HashMap<String, Instant>> {
    let end = Instant::now() + ARRIVED;
    loop {
        let mails = smtp.mails();
        if mails.len() >= count {
            let pairs = mails
                .into_iter()
                .flat_map(|mail| mail.to.into_iter().map(move |to| (to, mail.at.into())));
            return Ok(pairs.collect());
        }
        if Instant::now() > end {
            bail!("{} of {count} mails came", mails.len());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn row(name: &str, sorted: &[Duration]) -> Row {
    Row::new(
        name,
        &[
            ("p50 ms", millis(percentile(sorted, 0.50))),
            ("p99 ms", millis(percentile(sorted, 0.99))),
            ("max ms", millis(percentile(sorted, 1.0))),
        ],
    )
}
