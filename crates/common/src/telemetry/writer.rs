//! The way of log lines out of the process: a bounded queue, and a thread that alone waits for whoever reads them.
//!
//! A reader that stalls costs lines, which are counted; it never holds up the work, nor the end.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that may wait. A line's values are cut (see `logs`), so this bounds the memory as well: about
/// a megabyte of usual lines.
const MAX_WAITING: usize = 4096;
/// Losses are told at most this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Lines that this process has lost. One for all, as its standard error is.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Starts the thread that writes to standard error. The lines that still wait are written when the guard is dropped.
/// `losses` makes the line that says how many were lost.
pub(super) fn to_stderr(losses: impl Fn(u64) -> String + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let (lines, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_WAITING)
        .lossy(true)
        .thread_name("logs")
        .finish(TellingLosses {
            out: io::stderr(),
            losses,
            told: 0,
            told_at: None,
        });
    LOST.get_or_init(|| lines.error_counter());
    (lines, guard)
}

/// Log lines that were lost because nobody took them in time, since the start of the process.
pub fn lost_log_lines() -> u64 {
    let lost = LOST.get().map_or(0, ErrorCounter::dropped_lines);
    u64::try_from(lost).unwrap_or(u64::MAX)
}

/// Writes lines, and says among them how many were lost.
struct TellingLosses<W, F> {
    out: W,
    losses: F,
    told: u64,
    told_at: Option<Instant>,
}

impl<W: Write, F: Fn(u64) -> String> TellingLosses<W, F> {
    /// Says how many lines were lost since it was last said. Writes past the queue, which may still be full.
    fn tell(&mut self) -> io::Result<()> {
        let lost = lost_log_lines();
        if lost == self.told || self.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return Ok(());
        }
        self.out.write_all((self.losses)(lost - self.told).as_bytes())?;
        (self.told, self.told_at) = (lost, Some(Instant::now()));
        Ok(())
    }
}

impl<W: Write, F: Fn(u64) -> String> Write for TellingLosses<W, F> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.out.write_all(line)?;
        self.tell()?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
