//! The four commands, and what each is given.

use std::process::ExitCode;

use clap::Subcommand;

use super::discard::{Discard, discard};
use super::list::{List, list};
use super::replay::{Replay, replay};
use super::show::{Show, show};
use crate::commands::complete::complete;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum Dlq {
    /// Show every dead letter that is looked for, and how many there are of each kind of failure
    List(List),
    /// Show all of one: headers, body, errors, traces. Bodies hold personal data
    Show(Show),
    /// Put dead letters back into their queues and say what came of each; exit code 0 when all were taken in
    Replay(Replay),
    /// Drop dead letters for good
    Drop(Discard),
}

/// `waypost dlq`
pub fn dlq(command: Dlq) -> ExitCode {
    complete(async move {
        match command {
            Dlq::List(wanted) => list(&wanted).await,
            Dlq::Show(wanted) => show(&wanted).await,
            Dlq::Replay(wanted) => replay(&wanted).await,
            Dlq::Drop(wanted) => discard(&wanted).await,
        }
    })
}
