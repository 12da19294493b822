//! The page docs/retention.md, which `waypost prune --explain` prints for the settings that it reads.

use std::collections::BTreeMap;
use std::time::Duration;

use common::config::{Service, Settings};
use common::retention::Table;

use super::tables::tables_of;

/// All but the tables.
const PAGE: &str = include_str!("page.md");
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The page, as it is with these settings of each service.
pub fn page(services: &[(Service, &Settings)]) -> String {
    let settings = services.first().map(|(_, settings)| settings);
    let every = settings.map_or(Duration::ZERO, |settings| settings.retention.every);
    let returns = services
        .iter()
        .map(|(_, settings)| settings.broker.longest_return())
        .max();
    PAGE.replace("{every}", &spelled(every))
        .replace("{returns}", &spelled(returns.unwrap_or_default()))
        .replace("{pruned}", &rows(services, pruned))
        .replace("{stays}", &rows(services, stays))
}

/// Lines of a Markdown table, each with the services in which it is so.
fn rows(services: &[(Service, &Settings)], line: fn(&Table, &Settings) -> Option<[String; 2]>) -> String {
    let mut order = Vec::new();
    let mut owners: BTreeMap<[String; 2], Vec<String>> = BTreeMap::new();
    for (service, settings) in services {
        for parts in tables_of(*service).iter().filter_map(|table| line(table, settings)) {
            if !owners.contains_key(&parts) {
                order.push(parts.clone());
            }
            owners.entry(parts).or_default().push(service.to_string());
        }
    }
    let line = |parts: &[String; 2]| format!("| {} | {} | {} |", parts[0], owners[parts].join(", "), parts[1]);
    order.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn pruned(table: &Table, settings: &Settings) -> Option<[String; 2]> {
    let pruning = table.pruning?;
    let kept = spelled((pruning.kept)(&settings.retention));
    let rest = format!("{kept} | `{}` | {}", pruning.setting, table.about);
    Some([format!("`{}`", table.name), rest])
}

fn stays(table: &Table, _: &Settings) -> Option<[String; 2]> {
    let stays = table.pruning.is_none();
    stays.then(|| [format!("`{}`", table.name), table.about.to_owned()])
}

/// A span in words, the largest units first: `1 day and 2 hours`.
fn spelled(span: Duration) -> String {
    let mut left = span.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in [("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", 1)] {
        let count = left / seconds;
        left %= seconds;
        match count {
            0 => {}
            1 => parts.push(format!("1 {unit}")),
            _ => parts.push(format!("{count} {unit}s")),
        }
    }
    match parts.pop() {
        None => "0 seconds".to_owned(),
        Some(last) if parts.is_empty() => last,
        Some(last) => format!("{} and {last}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spelled_in_units_that_people_use() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (600, "10 minutes"),
            (86_400, "1 day"),
            (2_592_000, "30 days"),
            (90_061, "1 day, 1 hour, 1 minute and 1 second"),
        ] {
            assert_eq!(spelled(Duration::from_secs(seconds)), words);
        }
    }
}
