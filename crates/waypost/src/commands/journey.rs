//! `waypost journey`: what happened to a sign-up or a mail, joined from what all services know of it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::complete::complete;
use super::output::{complain, say, text};
use crate::operations::{Asked, Port};
use crate::settings::Settings;

/// Path of the journey in the operations API.
const PATH: [&str; 2] = ["operations", "journey"];
/// Most other keys by which a person is looked for.
const MOST_KEYS: usize = 10;

/// Whose journey.
#[derive(Debug, Args)]
pub struct Journey {
    /// An address, a phone number, or the id of a person, an event, a delivery or a trace
    key: String,
    /// Whom to ask
    #[command(flatten)]
    asked: Asked,
}

/// What all who answered know.
#[derive(Default)]
struct Found {
    known_as: BTreeSet<String>,
    events: Vec<(String, Value)>,
    deliveries: Vec<(String, Value)>,
    is_answered: bool,
}

/// `waypost journey`: exit code 1 when nobody answers or nothing is known.
pub fn journey(wanted: Journey) -> ExitCode {
    complete(async move {
        let ports = wanted.asked.ports()?;
        let settings = Settings::load()?;
        let mut found = Found::default();
        found.ask(&ports, &wanted.key, true).await;
        // The person's other keys: a mail knows an address, a notification knows an id.
        let others: Vec<_> = found
            .known_as
            .iter()
            .filter(|key| **key != wanted.key)
            .cloned()
            .collect();
        for key in others.iter().take(MOST_KEYS) {
            found.ask(&ports, key, false).await;
        }
        found.sort();
        if wanted.asked.json {
            say(&found.json(&settings).to_string());
        } else {
            found.lines(&wanted.key, &settings).iter().for_each(|line| say(line));
        }
        let is_known = !found.events.is_empty() || !found.deliveries.is_empty() || !found.known_as.is_empty();
        if found.is_answered && !is_known {
            complain("nobody who answers knows of it");
        }
        Ok(if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

impl Found {
    /// Asks all services what they know of a key. Standard error names those that do not answer, at the first key alone.
    async fn ask(&mut self, ports: &[Port], key: &str, is_first: bool) {
        let query = [("key", key.to_owned())];
        let query = &query;
        let ask = async |port| (port, Port::get(port, &PATH, query).await);
        for (port, answer) in join_all(ports.iter().map(ask)).await {
            match answer {
                Ok(mut answer) => {
                    self.is_answered = true;
                    let known = answer["known_as"].as_array().into_iter().flatten();
                    self.known_as
                        .extend(known.filter_map(|key| Some(key.as_str()?.to_owned())));
                    take(&mut self.events, &port.name, answer["events"].take());
                    take(&mut self.deliveries, &port.name, answer["deliveries"].take());
                }
                Err(trouble) if is_first => complain(&format!("{} {trouble}", port.name)),
                Err(_) => {}
            }
        }
    }

    /// Sorts by time. What was found by two keys is kept once.
    fn sort(&mut self) {
        let key = |field: &'static str| {
            move |(service, one): &(String, Value)| {
                let parts = [field, "id", "state"].map(|name| text(&one[name]));
                (parts, service.clone())
            }
        };
        self.events.sort_by_cached_key(key("at"));
        self.events.dedup();
        self.deliveries.sort_by_cached_key(key("created_at"));
        self.deliveries.dedup();
    }

    /// The traces of all of it.
    fn traces(&self) -> BTreeSet<&str> {
        let all = self.events.iter().chain(&self.deliveries);
        all.filter_map(|(_, one)| one["trace_id"].as_str()).collect()
    }

    fn json(&self, settings: &Settings) -> Value {
        let of_services = |list: &[(String, Value)]| {
            let with_service = |(service, one): &(String, Value)| {
                let mut one = one.clone();
                one["service"] = service.as_str().into();
                one
            };
            list.iter().map(with_service).collect::<Vec<_>>()
        };
        json!({
            "known_as": self.known_as,
            "events": of_services(&self.events),
            "deliveries": of_services(&self.deliveries),
            "traces": self.traces().into_iter().map(|trace| link(trace, settings)).collect::<Vec<_>>(),
        })
    }

    fn lines(&self, key: &str, settings: &Settings) -> Vec<String> {
        let known_as: Vec<_> = self.known_as.iter().map(String::as_str).collect();
        let mut lines = vec![if known_as.is_empty() {
            format!("journey of {key}")
        } else {
            format!("journey of {key} (known as {})", known_as.join(", "))
        }];
        lines.extend(self.events.iter().map(|(service, event)| event_line(service, event)));
        for (service, delivery) in &self.deliveries {
            lines.push(String::new());
            lines.extend(delivery_lines(service, delivery));
        }
        let traces = self.traces();
        if !traces.is_empty() {
            lines.push(String::new());
            lines.extend(traces.iter().map(|trace| format!("trace {}", link(trace, settings))));
        }
        lines
    }
}

/// The address at which a person looks at a trace; its id where the settings name no such place.
fn link(trace: &str, settings: &Settings) -> String {
    match (
        settings.telemetry.trace_url.as_str(),
        settings.own.mail.page_address.as_str(),
    ) {
        ("", "") => trace.to_owned(),
        ("", page) => format!("http://{page}/traces/{trace}"),
        (url, _) => url.replace("{trace_id}", trace),
    }
}

fn take(into: &mut Vec<(String, Value)>, service: &str, list: Value) {
    if let Value::Array(items) = list {
        into.extend(items.into_iter().map(|item| (service.to_owned(), item)));
    }
}

fn event_line(service: &str, event: &Value) -> String {
    let [at, kind, id, state, consumer] = ["at", "type", "id", "state", "consumer"].map(|name| text(&event[name]));
    let by = if consumer.is_empty() { service } else { &consumer };
    let kind = if kind.is_empty() { "event".to_owned() } else { kind };
    format!("{at}  {kind} {id}: {state} by {by}")
}

fn delivery_lines(service: &str, delivery: &Value) -> Vec<String> {
    let part = |name: &str| text(&delivery[name]);
    let because = |reason: String| {
        if reason.is_empty() {
            reason
        } else {
            format!(" ({reason})")
        }
    };
    let mut lines = vec![format!(
        "{}  {} to {}: {}{}, {} tries, delivery {} of {service}",
        part("created_at"),
        part("channel"),
        part("recipient"),
        part("status"),
        because(part("reason")),
        part("attempt_count"),
        part("id"),
    )];
    if delivery["resend_of"].is_string() {
        lines.push(format!("    a copy of delivery {}", part("resend_of")));
    }
    for attempt in delivery["attempts"].as_array().into_iter().flatten() {
        let part = |name: &str| text(&attempt[name]);
        lines.push(format!(
            "    {}  {} {}{}",
            part("at"),
            part("provider"),
            part("status"),
            because(part("reason"))
        ));
        let answer = part("answer");
        lines.extend(answer.lines().map(|line| format!("        {line}")));
        if attempt["next_attempt_at"].is_string() {
            lines.push(format!("        next try at {}", part("next_attempt_at")));
        }
    }
    match part("next_attempt_at") {
        next if next.is_empty() => {}
        next => lines.push(format!("    waits until {next}{}", because(part("last_error")))),
    }
    lines
}
