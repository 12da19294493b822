//! `make bench`: the services beside their ceilings, in one run.
//!
//! Why in one run: a figure from another day or another machine says nothing. So what is compared
//! runs side by side, in turns, and the report gives ratios. The servers share one core, the load
//! comes from the other; where latency is judged the load is open-loop, so that a slow answer does
//! not slow the next request down and hide itself.
//!
//! Development only: nothing depends on this crate, and it may know every other one.
#![expect(
    clippy::print_stdout,
    reason = "a command-line program; its report goes to standard output"
)]

mod collector;
mod cores;
mod effort;
mod load;
mod parts;
mod report;
mod roles;
mod sample;
mod stack;
mod usage;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{cores::Cores, effort::Effort, report::Report, roles::Role};

/// Measures Waypost on this machine and writes target/bench/report.{txt,json}.
#[derive(Parser)]
struct Arguments {
    /// Only these comparisons; all when none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Comparison>,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each side of a comparison has its turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(subcommand)]
    child: Option<Child>,
}

/// What this program runs itself as, in a process of its own on the servers' core.
#[derive(Subcommand)]
enum Child {
    /// Plays one server.
    #[command(hide = true)]
    Serve { role: Role },
    /// Publishes as fast as lapin can.
    #[command(hide = true)]
    Publish { messages: usize },
    /// Reads one cache, or one each, in so many threads at once.
    #[command(hide = true)]
    ReadOn { threads: usize, sharing: parts::Sharing },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Comparison {
    Reads,
    Threads,
    Writes,
    SignUps,
    Relay,
    Journey,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.child {
        Some(Child::Serve { role }) => roles::serve(role),
        Some(Child::Publish { messages }) => roles::publish(messages),
        Some(Child::ReadOn { threads, sharing }) => parts::read_on(threads, sharing),
        None => match measure(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("bench: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    // Before there is a second thread, which would not be moved.
    let cores = Cores::divide();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")?;
    let effort = Effort {
        turn: Duration::from_secs(arguments.seconds.max(1)),
        rounds: arguments.rounds.max(1),
    };
    let chosen = |comparison| arguments.only.is_empty() || arguments.only.contains(&comparison);
    let mut report = Report::begin(&cores);
    runtime.block_on(async {
        if chosen(Comparison::Reads) {
            report.add(parts::reads(&cores, effort).await.context("reads")?);
        }
        if chosen(Comparison::Threads) {
            report.add(parts::threads(effort).await.context("threads")?);
        }
        if chosen(Comparison::Writes) {
            report.add(parts::writes(&cores, effort).await.context("writes")?);
        }
        if chosen(Comparison::SignUps) {
            report.add(parts::sign_ups(&cores, effort).await.context("sign-ups")?);
        }
        if chosen(Comparison::Relay) {
            report.add(parts::relay(&cores, effort).await.context("relay")?);
        }
        if chosen(Comparison::Journey) {
            report.add(parts::journey(&cores, effort).await.context("journey")?);
        }
        anyhow::Ok(())
    })?;
    let files = report.write()?;
    println!("written to {files}");
    Ok(())
}
