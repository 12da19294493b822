//! What runs on which core: the servers on the first, the load and the collector on the second.

use std::{ffi::OsStr, process::Command, time::Duration};

use anyhow::Context;
use test_support::{Process, ProcessBuilder};

use crate::usage;

/// How the cores are divided.
pub(crate) struct Cores {
    divided: bool,
}

impl Cores {
    /// Moves this process to the second core. Without `taskset` or a second core, all processes share all cores.
    ///
    /// To be called before there is a second thread: `taskset` moves the first one alone.
    pub(crate) fn divide() -> Self {
        let several = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        let own = std::process::id().to_string();
        let moved = several
            && Command::new("taskset")
                .args(["-c", "-p", "1", &own])
                .output()
                .is_ok_and(|output| output.status.success());
        Self { divided: moved }
    }

    /// A sentence for the report.
    pub(crate) fn describe(&self) -> &'static str {
        if self.divided {
            "servers on core 0, load on core 1, database, store and broker wherever the system puts them"
        } else {
            "NOT DIVIDED (no taskset or no second core): servers and load share all cores"
        }
    }

    /// Begins to describe a process that is this program, on the servers' core.
    pub(crate) fn server<S: AsRef<OsStr>>(&self, arguments: &[S]) -> anyhow::Result<ProcessBuilder> {
        let program = std::env::current_exe().context("this program has no path")?;
        let mut process = if self.divided {
            Process::run("taskset").arg("-c").arg("0").arg(program)
        } else {
            Process::run(program)
        };
        for argument in arguments {
            process = process.arg(argument);
        }
        Ok(process)
    }
}

/// What a process has used of the processor so far, all its threads together.
pub(crate) fn processor_time(process: &Process) -> anyhow::Result<Duration> {
    usage::processor_time(process.id()).context("the process is gone")
}
