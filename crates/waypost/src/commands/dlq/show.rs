//! `waypost dlq show`: all of one message, as it was set aside.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use common::messaging::{Letter, Look};
use contracts::topology::QUEUES;
use serde_json::{Value, json};

use super::desk::{Desk, Place};
use super::outcome::end;
use super::print::{plain, say};
use super::selection::Selection;
use crate::commands::output::complain;

/// Which to show, and how.
#[derive(Debug, Args)]
pub struct Show {
    /// The id of the message
    id: String,
    /// In this queue alone
    #[arg(long, value_parser = PossibleValuesParser::new(QUEUES.iter().map(|queue| queue.name)))]
    queue: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn show(wanted: &Show) -> anyhow::Result<ExitCode> {
    let selection = Selection::of_id(wanted.queue.clone(), wanted.id.clone());
    let desk = Desk::open(wanted.queue.as_deref()).await?;
    let mut found = 0;
    let mut looked = Ok(());
    for place in &desk.places {
        looked = look_through(place, &selection, wanted.json, &mut found).await;
        if looked.is_err() {
            break;
        }
    }
    desk.close().await;
    if looked.is_ok() && found == 0 {
        complain(&format!("no dead letter has the id {}", plain(&wanted.id)));
    }
    end(looked, found > 0)
}

async fn look_through(place: &Place, selection: &Selection, is_json: bool, found: &mut u32) -> anyhow::Result<()> {
    let mut look = place.letters.open().await?;
    let shown = look_at(&mut look, selection, is_json, found).await;
    look.close().await;
    shown
}

async fn look_at(look: &mut Look, selection: &Selection, is_json: bool, found: &mut u32) -> anyhow::Result<()> {
    loop {
        let letters = look.next().await?;
        if letters.is_empty() {
            return Ok(());
        }
        for letter in letters.iter().filter(|letter| selection.means(&letter.shown)) {
            let body = look.body(letter).await?;
            let body = String::from_utf8_lossy(&body);
            *found += 1;
            if is_json {
                say(&object(letter, &body)?.to_string());
            } else {
                for line in lines(letter, &body) {
                    say(&line);
                }
            }
        }
    }
}

fn object(letter: &Letter, body: &str) -> Result<Value, serde_json::Error> {
    let mut whole = serde_json::to_value(&letter.shown)?;
    let headers: serde_json::Map<String, Value> = letter
        .headers()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    whole["content_type"] = json!(letter.content_type());
    whole["first_trace_id"] = json!(letter.first_trace_id());
    whole["headers"] = Value::Object(headers);
    whole["body"] = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    Ok(whole)
}

fn lines(letter: &Letter, body: &str) -> Vec<String> {
    let shown = &letter.shown;
    let mut lines = Vec::new();
    let mut row = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            lines.push(format!("{name:<12}  {}", plain(value)));
        }
    };
    row("queue", Some(&shown.queue));
    row("id", shown.id.as_deref());
    row("type", shown.kind.as_deref());
    row("set aside", shown.time.as_deref());
    row("reason", Some(&shown.reason));
    row("attempts", Some(&shown.attempts.to_string()));
    row("first error", shown.first_error.as_deref());
    row("last error", shown.last_error.as_deref());
    row("what failed", Some(&shown.cause));
    row("fingerprint", Some(&shown.fingerprint));
    row("trace", shown.trace_id.as_deref());
    row("first trace", letter.first_trace_id().as_deref());
    row("content type", letter.content_type());
    lines.push("headers".to_owned());
    for (name, value) in letter.headers() {
        lines.push(format!("  {}: {}", plain(name), plain(value)));
    }
    lines.push("body".to_owned());
    lines.extend(body.lines().map(|line| format!("  {}", plain(line))));
    lines.push(String::new());
    lines
}
