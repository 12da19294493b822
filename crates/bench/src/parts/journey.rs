//! From a sign-up to the mail server's acceptance: with passwords as they are hashed in production, and many with cheap ones.

use std::{collections::HashMap, time::Duration};

use anyhow::bail;
use test_support::SmtpReceiver;
use tokio::time::{Instant, sleep};

use super::figures::{count, millis};
use crate::{
    cores::Cores,
    effort::Effort,
    load::{open_loop_to, percentile},
    report::{Part, Row},
    roles::Role,
    stack::{Stack, sign_up},
    usage::Usage,
};

/// OWASP's parameters for argon2id, the built-in ones.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
/// The mails must have come by then.
const ARRIVED: Duration = Duration::from_mins(1);

/// Sign-ups a second, and whether passwords are hashed as in production: a core hashes some 25 of those a second.
const LOADS: [(f64, bool); 2] = [(20.0, true), (100.0, false)];

pub(crate) async fn journey(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let (mut rows, mut bottleneck) = (Vec::new(), String::new());
    for (rate, as_in_production) in LOADS {
        let usage = Usage::now();
        let [answered, accepted] = measure(cores, effort, (rate, as_in_production)).await?;
        bottleneck = usage.bottleneck("The sign-up");
        let passwords = if as_in_production { "" } else { ", cheap passwords" };
        rows.push(row(format!("201 answered, {rate}/s{passwords}"), &answered));
        rows.push(row(format!("mail accepted, {rate}/s{passwords}"), &accepted));
    }
    Ok(Part {
        title: "Sign-up to the mail server's acceptance",
        conditions: vec![
            "open loop; user-api and email-worker on one core".to_owned(),
            format!(
                "passwords: argon2id, {MEMORY_KIB} KiB, {ITERATIONS} iterations, parallelism 1; cheap ones: 8 KiB, 1"
            ),
        ],
        rows,
        checks: Vec::new(),
        bottleneck,
    })
}

/// How long the answers took, and how long the mails took; both sorted.
async fn measure(
    cores: &Cores,
    effort: Effort,
    (rate, as_in_production): (f64, bool),
) -> anyhow::Result<[Vec<Duration>; 2]> {
    let smtp = SmtpReceiver::start().await;
    let stack = Stack::new(cores).await?;
    let passwords = [
        ("WAYPOST__ACCOUNTS__ARGON2__MEMORY_KIB", MEMORY_KIB.to_string()),
        ("WAYPOST__ACCOUNTS__ARGON2__ITERATIONS", ITERATIONS.to_string()),
    ];
    let passwords = if as_in_production { &passwords[..] } else { &[] };
    let api = stack.start(Role::UserApi, passwords).await?;
    let mail = [("WAYPOST__MAIL__URL", smtp.url())];
    let _worker = stack.start(Role::EmailWorker, &mail).await?;

    // The warm-up: connections, statements, templates.
    let warm = (0..20).map(|n| sign_up(&format!("warm{n}@bench.example")));
    open_loop_to(api.address, 20.0, warm, 201).await?;
    let count = count(rate, effort.turn * u32::try_from(effort.rounds)?);
    let address = |n: usize| format!("p{n}@bench.example");
    let requests = (0..count).map(|n| sign_up(&address(n)));
    let arrivals = open_loop_to(api.address, rate, requests, 201).await?;
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
    Ok([answered, accepted])
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

fn row(name: String, sorted: &[Duration]) -> Row {
    Row::new(
        name,
        &[
            ("p50 ms", millis(percentile(sorted, 0.50))),
            ("p99 ms", millis(percentile(sorted, 0.99))),
            ("max ms", millis(percentile(sorted, 1.0))),
        ],
    )
}
