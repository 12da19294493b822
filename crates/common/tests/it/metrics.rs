//! The code, docs/observability.md, the dashboards and the alert rules name the same metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::telemetry::{ALL_METRICS, Definition, Kind};
use serde_json::Value;

/// Labels that every series has, and `le` of a histogram's buckets.
const COMMON_LABELS: [&str; 4] = ["service", "instance", "job", "le"];
/// Words that may stand before a space and name no series.
const KEYWORDS: [&str; 20] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "topk",
    "bottomk",
    "quantile",
    "stddev",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What one `PromQL` expression speaks of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mentions {
    series: BTreeSet<String>,
    labels: BTreeSet<String>,
}

/// Reads the names out of an expression. Whether it is `PromQL` at all, `make check-deploy` asks Prometheus.
fn mentions(expression: &str) -> Mentions {
    let mut found = Mentions::default();
    let mut rest = without_strings(expression);
    // `[5m]`, `[$__rate_interval]`: durations, no names.
    while let Some((before, after)) = rest.split_once('[').map(|(b, a)| (b.to_owned(), a.to_owned())) {
        rest = format!("{before} {}", after.split_once(']').map_or("", |(_, after)| after));
    }
    let mut in_braces = false;
    let mut grouping = false;
    let mut word = String::new();
    let mut before = String::new();
    for letter in rest.chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() || "_:.".contains(letter) {
            word.push(letter);
            continue;
        }
        if letter == '(' || !letter.is_whitespace() || !word.is_empty() {
            let is_name = word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            if is_name && (in_braces || grouping) {
                found.labels.insert(word.clone());
            } else if is_name && letter != '(' && !KEYWORDS.contains(&word.as_str()) {
                found.series.insert(word.clone());
            }
            if !word.is_empty() {
                before = std::mem::take(&mut word);
            }
        }
        match letter {
            '{' => in_braces = true,
            '}' => in_braces = false,
            '(' => grouping = ["by", "without", "on", "ignoring"].contains(&before.as_str()),
            ')' => grouping = false,
            _ => {}
        }
        if !letter.is_whitespace() {
            before.clear();
        }
    }
    found
}

fn without_strings(expression: &str) -> String {
    expression.split('"').step_by(2).collect::<Vec<_>>().join("")
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> Option<&'static Definition> {
    ALL_METRICS.iter().find(|metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_count", "_sum"]
            .iter()
            .any(|part| series.strip_suffix(part) == Some(metric.name)),
        Kind::Counter | Kind::Gauge => series == metric.name,
    })
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files
}

/// Every `expr` of the dashboards, with its file.
fn dashboard_expressions() -> Vec<(PathBuf, String)> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| collect(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut expressions = Vec::new();
    for file in files("deploy/grafana/dashboards", "json") {
        let dashboard = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let mut found = Vec::new();
        collect(&dashboard, &mut found);
        expressions.extend(found.into_iter().map(|expression| (file.clone(), expression)));
    }
    expressions
}

/// Every `expr` of the rules: on its line, or as a block below it.
fn rule_expressions() -> Vec<(PathBuf, String)> {
    let mut expressions = Vec::new();
    for file in files("deploy/prometheus", "yml") {
        let text = fs::read_to_string(&file).unwrap();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(after) = line.trim_start().strip_prefix("expr:") else {
                continue;
            };
            let indent = line.len() - line.trim_start().len();
            let mut expression = after.trim().trim_start_matches(['|', '>', '-']).to_owned();
            let deeper = |line: &&str| line.len() - line.trim_start().len() > indent;
            while let Some(more) = lines.next_if(deeper) {
                expression.push(' ');
                expression.push_str(more.trim());
            }
            expressions.push((file.clone(), expression));
        }
    }
    expressions
}

#[test]
fn every_metric_and_label_in_the_dashboards_and_rules_is_one_of_the_code() {
    let (dashboards, rules) = (dashboard_expressions(), rule_expressions());
    assert!(dashboards.len() > 5 && rules.len() > 3, "the files are not read");
    for (file, expression) in dashboards.into_iter().chain(rules) {
        let place = format!("{}: {expression}", file.display());
        let Mentions { series, labels } = mentions(&expression);
        assert!(!series.is_empty(), "{place} names no metric");
        let mut known: BTreeSet<&str> = COMMON_LABELS.into();
        for name in series {
            let metric = metric_of(&name).unwrap_or_else(|| panic!("{place}: {name} is not in metrics/table.rs"));
            known.extend(metric.labels);
        }
        for label in labels {
            assert!(known.contains(label.as_str()), "{place}: no such label {label}");
        }
    }
}

#[test]
fn what_is_asked_first_is_the_first_row_of_the_first_dashboard() {
    let first = files("deploy/grafana/dashboards", "json").into_iter().min().unwrap();
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(first).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let mut row: Vec<_> = panels.filter(|panel| panel["gridPos"]["y"] == 0).collect();
    row.sort_by_key(|panel| panel["gridPos"]["x"].as_u64());
    let titles: Vec<_> = row.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(
        titles,
        ["Database pool in use", "Redis latency p99", "Errors by endpoint"]
    );
}

#[test]
fn the_documented_table_is_the_one_in_the_code() {
    let text = fs::read_to_string(root().join("docs/observability.md")).unwrap();
    let ticked = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut documented = BTreeMap::new();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    for cells in rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>()) {
        // `| name | type | labels | tells |`
        let name = ticked(cells[1]).remove(0);
        documented.insert(
            name,
            (
                cells[2].to_owned(),
                ticked(cells[3]).into_iter().collect::<BTreeSet<_>>(),
            ),
        );
    }
    for metric in ALL_METRICS {
        let (kind, mut labels) = documented
            .remove(metric.name)
            .unwrap_or_else(|| panic!("{} has no row in docs/observability.md", metric.name));
        assert_eq!(kind, format!("{:?}", metric.kind).to_lowercase(), "{}", metric.name);
        // "the same", and what a label's values are, may stand beside them.
        labels.retain(|label| metric.labels.contains(&label.as_str()));
        if metric.name != "http_client_request_duration_seconds" {
            let expected: BTreeSet<String> = metric.labels.iter().map(ToString::to_string).collect();
            assert_eq!(labels, expected, "{}", metric.name);
        }
    }
    assert!(documented.is_empty(), "not in metrics/table.rs: {documented:?}");
}

#[test]
fn names_are_read_out_of_an_expression() {
    let found = mentions(
        "histogram_quantile(0.99, sum by (service, le) (rate(a_bucket{code=~\"4..|5..\", x=\"y\"}[$__rate_interval])))\n / on (z) b_total > 1e3 and c",
    );
    assert_eq!(found.series, ["a_bucket", "b_total", "c"].map(str::to_owned).into());
    assert_eq!(
        found.labels,
        ["code", "le", "service", "x", "z"].map(str::to_owned).into()
    );
    assert!(metric_of("waypost_messages").is_none());
    assert!(metric_of("http_server_request_duration_seconds_bucket").is_some());
}
