//! Which processes used the processor during a measurement, and so what bounds a figure: one of them, or waiting.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::Context;
use tokio::time::Instant;

/// From this share of a core on, the process that uses it bounds the figure.
const NEARLY_ALL: f64 = 0.85;
/// The programs that take part, beside the servers, whose processes are this program.
const OTHERS: [(&str, &str); 3] = [
    ("PostgreSQL", "postgres"),
    ("Redis", "redis-server"),
    ("RabbitMQ", "beam.smp"),
];

/// What each of them has used of the processor so far.
pub(crate) struct Usage {
    at: Instant,
    used: Vec<(&'static str, Duration)>,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let own = std::process::id();
        let mut used = vec![("the server", Duration::ZERO)];
        used.extend(OTHERS.map(|(name, _)| (name, Duration::ZERO)));
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Some(Stat { program, ticks }) = stat(id) else {
                continue;
            };
            let index = match OTHERS.iter().position(|(_, name)| *name == program) {
                Some(index) => index + 1,
                // The load is this process. It never sleeps, so what it uses says nothing.
                None if program == "bench" && id != own => 0,
                None => continue,
            };
            used[index].1 += Duration::from_millis(ticks * 10);
        }
        Self {
            at: Instant::now(),
            used,
        }
    }

    /// A sentence on what bounds `side`, measured from this moment to now.
    pub(crate) fn bottleneck(&self, side: &str) -> String {
        let now = Self::now();
        let took = (now.at - self.at).as_secs_f64();
        let shares = now.used.iter().zip(&self.used);
        let mut shares: Vec<_> = shares
            .map(|((name, now), (_, before))| (*name, now.saturating_sub(*before).as_secs_f64() / took))
            .collect();
        shares.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let (first, most) = shares[0];
        let all: f64 = shares.iter().map(|(_, share)| share).sum();
        let mut text = match most {
            NEARLY_ALL.. => format!("{side} is bounded by the core of {first}"),
            _ if all > NEARLY_ALL * processors() => {
                format!("{side} is bounded by the machine, whose cores are used up, most by {first}")
            }
            _ => format!("{side} is bounded by waiting (answers, commits), not by a processor"),
        };
        text.push_str("; of a core:");
        for (name, share) in shares.iter().filter(|(_, share)| *share >= 0.005) {
            let _ = write!(text, " {name} {share:.2},");
        }
        text.pop();
        text
    }
}

/// How many processors the machine has; this process may be bound to one of them.
#[expect(clippy::cast_precision_loss, reason = "a count of processors")]
fn processors() -> f64 {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count()
        .max(1) as f64
}

/// What one process has used of the processor so far, all its threads together; `None` when it is gone.
pub(crate) fn processor_time(process: u32) -> Option<Duration> {
    Some(Duration::from_millis(stat(process)?.ticks * 10))
}

/// The memory of a process that is in the machine's, in MiB.
pub(crate) fn resident_mib(process: u32) -> anyhow::Result<f64> {
    memory_mib(process, "VmRSS:")
}

/// The most of the machine's memory that a process had, in MiB.
pub(crate) fn peak_mib(process: u32) -> anyhow::Result<f64> {
    memory_mib(process, "VmHWM:")
}

fn memory_mib(process: u32, what: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("the process is gone")? / 1024.0)
}

struct Stat {
    program: String,
    /// Of user and system, in 1/100 s.
    ticks: u64,
}

fn stat(process: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // "pid (name) state ...": user and system time are the 12th and 13th after the name.
    let (head, fields) = stat.rsplit_once(')')?;
    let program = head.split_once('(')?.1.to_owned();
    let times: Option<Vec<u64>> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|time| time.parse().ok())
        .collect();
    let [user, system] = times?[..] else {
        return None;
    };
    Some(Stat {
        program,
        ticks: user + system,
    })
}
