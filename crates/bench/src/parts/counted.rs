//! Messages that are counted: how fast one side gets through them, and what each costs it.

use std::{ops::Range, time::Duration};

use anyhow::{Context, ensure};
use test_support::ProcessBuilder;
use tokio::time::{Instant, sleep, timeout};

use crate::{cores::processor_time, stack::Server};

/// How often a side is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One turn: messages a second, and microseconds of the side's processor for each.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) per_second: f64,
    pub(super) cost: f64,
}

impl Turn {
    fn of(messages: f64, seconds: f64, used: Duration) -> Self {
        Self {
            per_second: messages / seconds,
            cost: used.as_secs_f64() * 1e6 / messages,
        }
    }
}

/// Lets a child of this program get through so many messages; it prints how many seconds it took.
pub(super) async fn by_hand(child: ProcessBuilder, messages: u32, patience: Duration) -> anyhow::Result<Turn> {
    let mut process = child.spawn();
    let (end, mut used) = (Instant::now() + patience, Duration::ZERO);
    while process.is_running() {
        used = processor_time(&process).unwrap_or(used);
        ensure!(Instant::now() < end, "lapin alone did not end");
        sleep(LOOK_EVERY).await;
    }
    // The last line may come a moment after the end.
    let output = async {
        loop {
            if let Ok(seconds) = process.output().trim().parse::<f64>() {
                return seconds;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    let seconds = timeout(Duration::from_secs(2), output).await;
    let seconds = seconds.with_context(|| process.output())?;
    Ok(Turn::of(f64::from(messages), seconds, used))
}

/// Follows a counter of a server and measures from the start of `part` to its end, since no one tells when the work begins.
pub(super) async fn follow(
    server: &Server,
    counter: &[&str],
    part: Range<u64>,
    patience: Duration,
) -> anyhow::Result<Turn> {
    let (end, mut first) = (Instant::now() + patience, None);
    loop {
        let count = server.counter(counter).await?;
        let (now, used) = (Instant::now(), processor_time(&server.process)?);
        if first.is_none() && count >= part.start {
            first = Some((count, now, used));
        }
        if count >= part.end {
            let (from, since, used_then) = first.context("it was over before it began")?;
            let messages = u32::try_from(count - from).map(f64::from)?;
            let used = used.saturating_sub(used_then);
            return Ok(Turn::of(messages, (now - since).as_secs_f64(), used));
        }
        ensure!(
            now < end,
            "{count} of {} messages were counted; the service wrote:\n{}",
            part.end,
            server.process.output()
        );
        sleep(LOOK_EVERY).await;
    }
}
