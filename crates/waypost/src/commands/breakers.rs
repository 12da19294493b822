//! `waypost breakers`: shows the circuit breakers of services that run, and has one decide or not.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::complete::complete;
use super::output::{complain, of_service, say, text};
use super::span::within_a_day;
use crate::operations::{Asked, Port, Trouble};

/// Path of the breakers in the operations API.
const PATH: [&str; 2] = ["operations", "breakers"];

/// What to do with breakers.
#[derive(Debug, Subcommand)]
pub enum Breakers {
    /// Show how each stands; exit code 0 when a service answered
    List {
        /// Whom to ask
        #[command(flatten)]
        asked: Asked,
    },
    /// Have one decide or not, in each service that has it; exit code 0 when it is set
    Set(Set),
}

/// How one is to decide.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// As `list` calls it
    destination: String,
    /// Whether it decides
    mode: Mode,
    /// For how long, such as 90s, 30m, 2h; without it, until it is set again or the process ends
    #[arg(long = "for", value_name = "TIME", value_parser = within_a_day)]
    lasts: Option<u64>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// Who you are, for the audit
    #[arg(long)]
    operator: Option<String>,
    /// Whom to ask
    #[command(flatten)]
    asked: Asked,
}

/// Whether a breaker decides.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Mode {
    /// It decides
    On,
    /// It counts and shows its state, and lets all pass
    MetricsOnly,
    /// Nothing passes
    ForcedOpen,
    /// All passes, and nothing is counted
    ForcedClosed,
}

/// `waypost breakers`
pub fn breakers(command: Breakers) -> ExitCode {
    complete(async move {
        let is_done = match command {
            Breakers::List { asked } => list(&asked).await?,
            Breakers::Set(wanted) => set(&wanted).await?,
        };
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Shows the breakers of every service that answers; false when none answers.
async fn list(asked: &Asked) -> anyhow::Result<bool> {
    let ports = asked.ports()?;
    let found = found(&ports).await;
    if !asked.json && !found.is_empty() {
        say(&row([
            "SERVICE",
            "DESTINATION",
            "STATE",
            "MODE",
            "ENDS IN",
            "CALLS",
            "FAILED",
            "SLOW",
        ]
        .map(str::to_owned)));
    }
    for (port, breakers) in &found {
        for breaker in breakers {
            if asked.json {
                say(&of_service(&port.name, breaker));
            } else {
                say(&row(cells(&port.name, breaker)));
            }
        }
    }
    Ok(!found.is_empty())
}

/// Sets the breaker's mode in each service that has it; false when none has it, or one of them refuses.
async fn set(wanted: &Set) -> anyhow::Result<bool> {
    let ports = wanted.asked.ports()?;
    let found = found(&ports).await;
    let has_it = |breakers: &[Value]| {
        breakers
            .iter()
            .any(|breaker| breaker["destination"] == wanted.destination)
    };
    let owners: Vec<_> = found
        .iter()
        .filter(|(_, breakers)| has_it(breakers))
        .map(|(port, _)| *port)
        .collect();
    if owners.is_empty() && !found.is_empty() {
        let known: Vec<_> = found
            .iter()
            .flat_map(|(_, breakers)| breakers)
            .map(|one| text(&one["destination"]))
            .collect();
        complain(&format!(
            "no service that answers has a breaker of {}; there are: {}",
            wanted.destination,
            known.join(", ")
        ));
    }
    let mut is_done = !owners.is_empty();
    for port in owners {
        match put(port, wanted).await {
            Ok(()) => say(&told(&port.name, wanted)),
            Err(trouble) => {
                complain(&format!("{} {trouble}", port.name));
                is_done = false;
            }
        }
    }
    Ok(is_done)
}

async fn put(port: &Port, wanted: &Set) -> Result<(), Trouble> {
    let path = [&PATH[..], &[&wanted.destination]].concat();
    let body = json!({"mode": wanted.mode.word(), "for_s": wanted.lasts, "reason": wanted.reason});
    let mut request = port.request(Method::PUT, &path).json(&body);
    if let Some(operator) = &wanted.operator {
        request = request.header("x-operator", operator.as_bytes());
    }
    port.send(request).await.map(drop)
}

/// The breakers of those who answer. The others are told on standard error.
async fn found(ports: &[Port]) -> Vec<(&Port, Vec<Value>)> {
    let ask = async |port| (port, Port::list(port, &PATH).await);
    let answers = join_all(ports.iter().map(ask)).await;
    let answered = answers.into_iter().filter_map(|(port, answer)| match answer {
        Ok(breakers) => Some((port, breakers)),
        Err(trouble) => {
            complain(&format!("{} {trouble}", port.name));
            None
        }
    });
    answered.collect()
}

impl Mode {
    const fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::MetricsOnly => "metrics_only",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

/// What was set, for a person or a program.
fn told(service: &str, wanted: &Set) -> String {
    let (destination, mode) = (&wanted.destination, wanted.mode.word());
    if wanted.asked.json {
        let line = json!({"service": service, "destination": destination, "mode": mode, "for_s": wanted.lasts});
        return line.to_string();
    }
    match wanted.lasts {
        Some(seconds) => format!("{service}: {destination} is {mode} for {seconds} s"),
        None => format!("{service}: {destination} is {mode}"),
    }
}

fn cells(service: &str, breaker: &Value) -> [String; 8] {
    let ends = breaker["mode_ends_in_s"].as_u64().map(|seconds| format!("{seconds} s"));
    let [destination, state, mode] = ["destination", "state", "mode"].map(|name| text(&breaker[name]));
    let [calls, failed, slow] = ["calls", "failed", "slow"].map(|name| text(&breaker[name]));
    [
        service.to_owned(),
        destination,
        state,
        mode,
        ends.unwrap_or_default(),
        calls,
        failed,
        slow,
    ]
}

fn row([service, destination, state, mode, ends, calls, failed, slow]: [String; 8]) -> String {
    format!("{service:<22} {destination:<20} {state:<10} {mode:<14} {ends:<9} {calls:>6} {failed:>6} {slow:>6}")
}
