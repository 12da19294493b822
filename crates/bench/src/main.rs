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

mod backlog;
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

use crate::{
    cores::Cores,
    effort::Effort,
    report::{Part, Report},
    roles::Role,
};

/// Measures Waypost on this machine and writes target/bench/report.{txt,json}.
#[derive(Parser)]
#[command(version)]
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
    /// Takes messages in as fast as lapin and `SeaORM` can.
    #[command(hide = true)]
    Take { messages: usize },
    /// Hashes as fast as one thread can.
    #[command(hide = true)]
    Hash,
    /// Reads one cache, or one each, in so many threads at once.
    #[command(hide = true)]
    ReadOn { threads: usize, sharing: parts::Sharing },
}

/// In the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Comparison {
    Reads,
    Doors,
    Abuser,
    Threads,
    Writes,
    SignUps,
    LogIns,
    Overload,
    Outbound,
    Breached,
    Fair,
    Relay,
    Backlogs,
    Told,
    Consume,
    Drain,
    Journey,
    Memory,
}

impl Comparison {
    async fn measure(self, cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
        match self {
            Self::Reads => parts::reads(cores, effort).await,
            Self::Doors => parts::doors(cores, effort).await,
            Self::Abuser => parts::abuser(cores, effort).await,
            Self::Threads => parts::threads(effort).await,
            Self::Writes => parts::writes(cores, effort).await,
            Self::SignUps => parts::sign_ups(cores, effort).await,
            Self::LogIns => parts::log_ins(cores, effort).await,
            Self::Overload => parts::overload(cores, effort).await,
            Self::Outbound => parts::outbound(cores, effort).await,
            Self::Breached => parts::breached(cores, effort).await,
            Self::Fair => parts::fair(cores, effort).await,
            Self::Relay => parts::relay(cores, effort).await,
            Self::Backlogs => parts::backlogs(cores, effort).await,
            Self::Told => parts::told(cores, effort).await,
            Self::Consume => parts::consume(cores, effort).await,
            Self::Drain => parts::drain(cores, effort).await,
            Self::Journey => parts::journey(cores, effort).await,
            Self::Memory => parts::memory(cores, effort).await,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.child {
        Some(Child::Serve { role }) => roles::serve(role),
        Some(Child::Publish { messages }) => roles::publish(messages),
        Some(Child::Take { messages }) => roles::take(messages),
        Some(Child::Hash) => parts::hash(),
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
    let mut report = Report::begin(&cores);
    for comparison in Comparison::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(comparison) {
            let part = runtime.block_on(comparison.measure(&cores, effort));
            report.add(part.with_context(|| format!("{comparison:?}"))?);
        }
    }
    let files = report.write()?;
    println!("written to {files}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn it_tells_its_version() {
        assert_eq!(Arguments::command().get_version(), Some(env!("CARGO_PKG_VERSION")));
    }
}
