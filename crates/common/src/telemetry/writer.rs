//! The way of log lines out of the process: a bounded queue, and a thread that alone waits for whoever reads them.
//!
//! A reader that stalls costs lines, which are counted; it never holds up the work, nor the end.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that may wait. A line's values are cut (see `logs`), so this bounds the memory as well: about
/// a megabyte of usual lines.
const MAX_WAITING: usize = 4096;
/// Losses are told at most this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Lines that found no room in this process. One for all, as its standard error is.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();
/// Lines that could not be written: the disk is full, or nobody reads any more.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

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

/// Log lines that were lost since the start of the process, because nobody took them in time or they could not be written.
pub fn lost_log_lines() -> u64 {
    let lost = LOST.get().map_or(0, ErrorCounter::dropped_lines);
    let unwritten = UNWRITTEN.load(Ordering::Relaxed);
    u64::try_from(lost).unwrap_or(u64::MAX).saturating_add(unwritten)
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
        self.out.write_all(line).inspect_err(|_| {
            UNWRITTEN.fetch_add(1, Ordering::Relaxed);
        })?;
        self.tell()?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Disk {
        is_full: bool,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_can_not_be_written_is_counted_and_told_when_there_is_room_again() {
        let before = lost_log_lines();
        let mut lines = TellingLosses {
            out: Disk::default(),
            losses: |lost| format!("{lost} lost\n"),
            told: before,
            told_at: None,
        };
        lines.out.is_full = true;
        assert!(lines.write(b"one\n").is_err() && lines.write(b"two\n").is_err());
        assert_eq!(lost_log_lines(), before + 2);
        lines.out.is_full = false;
        lines.write_all(b"three\n").unwrap();
        assert_eq!(String::from_utf8_lossy(&lines.out.written), "three\n2 lost\n");
    }
}
