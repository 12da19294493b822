//! The guide's command: judges an exercise, writes quotes anew, prepares the site.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use guide::exercises::{Attempt, Whose, find};
use guide::{exercises, markdown, site};

/// Where the site goes.
const SITE: &str = "target/guide";

#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether an exercise is done, and else what is missing
    Exercise {
        /// Which: cache-1, ..
        name: String,
        /// What you answer, where it asks something
        #[arg(long)]
        answer: Option<String>,
        /// Judge the guide's own solution instead of what you wrote
        #[arg(long)]
        solution: bool,
        /// Operations port of the user-api that it looks at
        #[arg(long, default_value = "127.0.0.1:9080")]
        at: String,
    },
    /// Write what the pages quote anew from the sources
    Quotes,
    /// Write the pages to target/guide/src, as mdBook takes them
    Site,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let here = Path::new(".");
    match Arguments::parse().command {
        Command::Exercise {
            name,
            answer,
            solution,
            at,
        } => {
            let whose = if solution { Whose::Solution } else { Whose::Learner };
            return Ok(judge(&name, Attempt { whose, answer, at }).await);
        }
        Command::Quotes => {
            for file in markdown::write_quotes(here)? {
                println!("{} has new quotes", file.display());
            }
        }
        Command::Site => site::prepare(here, Path::new(SITE))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn judge(name: &str, attempt: Attempt) -> ExitCode {
    let Some(exercise) = find(name) else {
        let names: Vec<_> = exercises::all().map(|exercise| exercise.name).collect();
        println!("There is no exercise {name}. There are: {}.", names.join(", "));
        return ExitCode::FAILURE;
    };
    match (exercise.check)(attempt).await {
        Ok(seen) => {
            println!("{name} is done. {seen}");
            ExitCode::SUCCESS
        }
        Err(missing) => {
            println!("{name} is not done yet. {missing}");
            ExitCode::FAILURE
        }
    }
}
