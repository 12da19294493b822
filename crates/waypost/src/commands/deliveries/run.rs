//! Which of the commands it is.

use std::process::ExitCode;

use super::act::{Deed, act};
use super::arguments::Deliveries;
use super::list::list;
use crate::commands::complete::complete;

/// `waypost deliveries`
pub fn deliveries(command: Deliveries) -> ExitCode {
    complete(async move {
        let is_done = match command {
            Deliveries::List(wanted) => list(&wanted).await?,
            Deliveries::RetryNow(wanted) => act(Deed::RetryNow, &wanted).await?,
            Deliveries::Cancel(wanted) => act(Deed::Cancel, &wanted).await?,
            Deliveries::Resend(wanted) => act(Deed::Resend, &wanted).await?,
        };
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
