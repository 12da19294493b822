//! `waypost hold`, `release`, `holds`: has services leave a destination alone for a time, or not.

use std::process::ExitCode;

use clap::Args;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::complete::complete;
use super::output::{complain, of_service, say, text};
use super::span::within_a_week;
use crate::operations::{Asked, Port, Trouble};

/// Path of the holds in the operations API.
const PATH: [&str; 2] = ["operations", "holds"];

/// What to leave alone, for how long and why.
#[derive(Debug, Args)]
pub struct Hold {
    /// `mail` (all mail), `sms` (all SMS), `sms.first` and `sms.<name>` (one of several providers), as `waypost holds` lists them
    destination: String,
    /// For how long, such as 90s, 30m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = within_a_week)]
    lasts: u64,
    /// The order
    #[command(flatten)]
    order: Order,
}

/// What to leave alone no longer, and why.
#[derive(Debug, Args)]
pub struct Release {
    /// As `waypost holds` calls it
    destination: String,
    /// The order
    #[command(flatten)]
    order: Order,
}

/// Whom to ask.
#[derive(Debug, Args)]
pub struct Holds {
    /// Whom to ask
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Args)]
struct Order {
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

/// `waypost hold`
pub fn hold(wanted: Hold) -> ExitCode {
    complete(async move {
        let body = json!({"for_s": wanted.lasts, "reason": wanted.order.reason});
        let told = format!("is held for {} s", wanted.lasts);
        let change = (Method::PUT, body, told);
        Ok(code(order(&wanted.destination, &wanted.order, change).await?))
    })
}

/// `waypost release`
pub fn release(wanted: Release) -> ExitCode {
    complete(async move {
        let body = json!({"reason": wanted.order.reason});
        let change = (Method::DELETE, body, "is released".to_owned());
        Ok(code(order(&wanted.destination, &wanted.order, change).await?))
    })
}

/// `waypost holds`
pub fn holds(wanted: Holds) -> ExitCode {
    complete(async move { Ok(code(list(&wanted.asked).await?)) })
}

fn code(is_done: bool) -> ExitCode {
    if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Gives the order to each service that sends. One that does not know the destination is passed by.
///
/// False when none takes the order, or one fails in another way.
async fn order(destination: &str, order: &Order, change: (Method, Value, String)) -> anyhow::Result<bool> {
    let ports = order.asked.senders()?;
    let (method, body, told) = &change;
    let ask = async |port| {
        let path = [&PATH[..], &[destination]].concat();
        let mut request = Port::request(port, method.clone(), &path).json(body);
        if let Some(operator) = &order.operator {
            request = request.header("x-operator", operator.as_bytes());
        }
        (port, port.send(request).await)
    };
    let (mut is_done, mut is_well, mut elsewhere) = (false, true, Vec::new());
    for (port, answer) in join_all(ports.iter().map(ask)).await {
        match answer {
            Ok(_) if order.asked.json => {
                is_done = true;
                say(&of_service(
                    &port.name,
                    &json!({"destination": destination, "done": told}),
                ));
            }
            Ok(_) => {
                is_done = true;
                say(&format!("{}: {destination} {told}", port.name));
            }
            // The destination may be another service's.
            Err(Trouble::Refused { status, said }) if status == StatusCode::NOT_FOUND => {
                elsewhere.push(format!("{}: {said}", port.name));
            }
            Err(trouble) => {
                is_well = false;
                complain(&format!("{} {trouble}", port.name));
            }
        }
    }
    if !is_done {
        for line in &elsewhere {
            complain(line);
        }
    }
    Ok(is_done && is_well)
}

/// Shows the destinations of every service that answers; false when none answers.
async fn list(asked: &Asked) -> anyhow::Result<bool> {
    let ports = asked.senders()?;
    let ask = async |port| (port, Port::get(port, &PATH, &[]).await);
    let mut is_answered = false;
    let mut lines = Vec::new();
    for (port, answer) in join_all(ports.iter().map(ask)).await {
        match answer {
            Ok(answer) => {
                is_answered = true;
                lines.extend(lines_of(port, &answer, asked.json));
            }
            Err(trouble) => complain(&format!("{} {trouble}", port.name)),
        }
    }
    if is_answered && !asked.json {
        say(&row(
            ["SERVICE", "DESTINATION", "ENDS IN", "WHO", "WHY"].map(str::to_owned)
        ));
    }
    for line in &lines {
        say(line);
    }
    Ok(is_answered)
}

/// A line for each destination. A program is shown those that are held, a person also those that could be.
fn lines_of(port: &Port, answer: &Value, json: bool) -> Vec<String> {
    let held = answer["items"].as_array().cloned().unwrap_or_default();
    if json {
        return held.iter().map(|one| of_service(&port.name, one)).collect();
    }
    let is_held = |name: &Value| held.iter().any(|one| one["destination"] == *name);
    let free = answer["destinations"].as_array().cloned().unwrap_or_default();
    let free = free.into_iter().filter(|name| !is_held(name));
    let cells = |one: &Value| {
        let ends = one["ends_in_s"].as_u64().map(|seconds| format!("{seconds} s"));
        let [destination, who, why] = ["destination", "who", "reason"].map(|name| text(&one[name]));
        row([port.name.clone(), destination, ends.unwrap_or_default(), who, why])
    };
    let free = free.map(|name| json!({"destination": name}));
    held.iter().cloned().chain(free).map(|one| cells(&one)).collect()
}

fn row([service, destination, ends, who, why]: [String; 5]) -> String {
    format!("{service:<22} {destination:<20} {ends:<9} {who:<24} {why}")
        .trim_end()
        .to_owned()
}
