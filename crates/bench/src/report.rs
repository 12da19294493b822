//! What was measured: a table for people, the same as JSON for programs.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::Context;
use common::Timestamp;
use serde::Serialize;

use crate::cores::Cores;

/// Everything that one run found.
#[derive(Serialize)]
pub(crate) struct Report {
    at: String,
    processor: String,
    cores: &'static str,
    /// Load average over one minute before the run: others' work on this machine.
    load_before: String,
    parts: Vec<Part>,
}

/// One comparison.
#[derive(Serialize)]
pub(crate) struct Part {
    pub(crate) title: &'static str,
    /// Under what conditions.
    pub(crate) conditions: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) checks: Vec<Check>,
    /// What bounds the figures, as this run measured it.
    pub(crate) bottleneck: String,
}

/// One side of a comparison.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) figures: Vec<Figure>,
}

/// A number, with what it counts.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) value: f64,
}

/// A ratio beside its target.
#[derive(Serialize)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) measured: f64,
    pub(crate) target: &'static str,
    pub(crate) holds: bool,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, figures: &[(&'static str, f64)]) -> Self {
        let figures = figures.iter().map(|&(what, value)| Figure { what, value }).collect();
        Self {
            name: name.into(),
            figures,
        }
    }
}

impl Report {
    pub(crate) fn begin(cores: &Cores) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
        let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let report = Self {
            at: Timestamp::now().to_rfc3339(),
            processor: format!("{count} x {model}"),
            cores: cores.describe(),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
            parts: Vec::new(),
        };
        println!("{}", report.head());
        report
    }

    /// Takes a comparison in, and shows it at once.
    pub(crate) fn add(&mut self, part: Part) {
        println!("{}", part.render());
        self.parts.push(part);
    }

    /// Writes both forms into the folder `bench` of the target folder; gives back where they are.
    pub(crate) fn write(&self) -> anyhow::Result<String> {
        let program = std::env::current_exe().context("this program has no path")?;
        // target/release/bench -> target/bench
        let target = program.ancestors().nth(2).map_or_else(PathBuf::new, PathBuf::from);
        let folder = target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
        let mut text = self.head();
        for part in &self.parts {
            let _ = write!(text, "\n{}", part.render());
        }
        fs::write(folder.join("report.txt"), text)?;
        fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        Ok(format!("{}/report.txt and report.json", folder.display()))
    }

    fn head(&self) -> String {
        format!(
            "{}\n{}\n{}; load average before: {}\n",
            self.at, self.processor, self.cores, self.load_before
        )
    }
}

impl Part {
    fn render(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for condition in &self.conditions {
            let _ = writeln!(text, "  {condition}");
        }
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        if let Some(first) = self.rows.first() {
            let _ = write!(text, "\n  {:width$}", "");
            for figure in &first.figures {
                let _ = write!(text, "{:>16}", figure.what);
            }
            text.push('\n');
        }
        for row in &self.rows {
            let _ = write!(text, "  {:width$}", row.name);
            for figure in &row.figures {
                let _ = write!(text, "{:>16}", short(figure.value));
            }
            text.push('\n');
        }
        for check in &self.checks {
            let verdict = if check.holds { "holds" } else { "MISSED" };
            let (what, target) = (check.what, check.target);
            let _ = writeln!(text, "  => {what}: {:.2}, target {target}: {verdict}", check.measured);
        }
        let _ = writeln!(text, "  => {}", self.bottleneck);
        text
    }
}

/// A figure with three digits or more: the larger it is, the fewer behind the point.
fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
