//! The end of a process: who asks for it, and by when it has come.

use std::fs;
use std::future::pending;
use std::io;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Time for the process between its last flush and the end by force. Its runtime takes 0.2 s of it.
const LAST_STEPS: Duration = Duration::from_millis(500);
/// How long an exit may take before the process aborts. An exit may be held up by a handler or a lock; an abort is not.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);

/// Hears SIGTERM, SIGINT and SIGHUP, and ends the process by force when it has not ended in time by itself.
///
/// Both happen on a thread of its own, so neither waits for the async threads, whatever holds those up.
#[derive(Debug, Clone)]
pub struct Ending {
    asked: CancellationToken,
    limit: Duration,
}

impl Ending {
    /// Begins to listen; from the first signal on, or from [`Self::begin`], the process has `limit` to end.
    ///
    /// # Errors
    /// An [`io::Error`] when signals can't be heard or the thread can't be had.
    pub fn within(limit: Duration) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut terminate, mut interrupt, mut hangup) = {
            let _inside = runtime.enter();
            // Whoever starts a process by `nohup` means it to outlive the terminal.
            let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()));
            (
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                hangup.transpose()?,
            )
        };
        let asked = CancellationToken::new();
        let heard = asked.clone();
        thread::Builder::new().name("ending".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = received(hangup.as_mut()) => {}
                    () = heard.cancelled() => {}
                }
            });
            heard.cancel();
            thread::sleep(limit);
            by_force();
        })?;
        Ok(Self { asked, limit })
    }

    /// Resolves when a signal came, or [`Self::begin`] was called.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Begins the end, for a reason of the process's own or after it was asked to. Answers by when it has to be over.
    pub fn begin(&self) -> Deadline {
        self.asked.cancel();
        Deadline(Instant::now() + self.limit)
    }
}

/// When the process is ended by force.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The time that is left for work before the last steps; zero when there is none.
    pub fn left(self) -> Duration {
        self.0
            .saturating_duration_since(Instant::now())
            .saturating_sub(LAST_STEPS)
    }
}

/// Whether this process was started with SIGHUP ignored.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // A bit a signal; SIGHUP is the first.
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// Ends the process as failed, whatever its threads do.
fn by_force() -> ! {
    if thread::Builder::new().spawn(|| process::exit(1)).is_ok() {
        thread::sleep(EXIT_PATIENCE);
    }
    process::abort()
}
