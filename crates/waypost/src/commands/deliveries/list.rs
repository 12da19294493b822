//! `waypost deliveries list`: a line for each delivery.

use serde_json::Value;

use super::arguments::List;
use crate::commands::output::{complain, of_service, say, text};

/// Path of the deliveries in the operations API.
pub(super) const PATH: [&str; 2] = ["operations", "deliveries"];

/// Shows the deliveries of every service that answers; false when none answers.
pub(super) async fn list(wanted: &List) -> anyhow::Result<bool> {
    let ports = wanted.asked.senders()?;
    let mut is_answered = false;
    if !wanted.asked.json {
        say(&row([
            "DELIVERY",
            "CHANNEL",
            "DESTINATION",
            "STATUS",
            "REASON",
            "TRIES",
            "RECIPIENT",
            "LAST ERROR",
        ]
        .map(str::to_owned)));
    }
    let query = wanted.which.query();
    for port in &ports {
        let mut left = wanted.limit.unwrap_or(usize::MAX);
        let answer = port.pages(&PATH, &query, |delivery| {
            if left == 0 {
                return false;
            }
            left -= 1;
            say(&if wanted.asked.json {
                of_service(&port.name, &delivery)
            } else {
                row(cells(&delivery))
            });
            true
        });
        match answer.await {
            Ok(()) => is_answered = true,
            Err(trouble) => complain(&format!("{} {trouble}", port.name)),
        }
    }
    Ok(is_answered)
}

fn cells(delivery: &Value) -> [String; 8] {
    [
        "id",
        "channel",
        "destination",
        "status",
        "reason",
        "attempt_count",
        "recipient",
        "last_error",
    ]
    .map(|name| text(&delivery[name]))
}

fn row([id, channel, destination, status, reason, tries, recipient, error]: [String; 8]) -> String {
    format!("{id:<36} {channel:<7} {destination:<12} {status:<10} {reason:<10} {tries:>5} {recipient:<36} {error}")
        .trim_end()
        .to_owned()
}
