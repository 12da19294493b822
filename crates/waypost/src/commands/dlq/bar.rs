//! How far a command is, for a person who waits.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Least time between two drawings of the bar.
const STEP: Duration = Duration::from_millis(100);
/// Width of the bar in characters.
const WIDTH: u64 = 30;

/// How far a command is: one line on standard error, where that is a terminal.
#[derive(Debug)]
pub(super) struct Bar {
    is_seen: bool,
    shown: Option<Instant>,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self {
            is_seen: io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Shows `done` of `of`; a call that comes less than a `STEP` after the last drawing shows nothing.
    pub(super) fn show(&mut self, done: u64, of: u64, what: &str) {
        if !self.is_seen || self.shown.is_some_and(|at| at.elapsed() < STEP) {
            return;
        }
        self.shown = Some(Instant::now());
        let _ = write!(io::stderr(), "\r\x1b[K{}", drawn(done, of, what));
    }

    /// Makes room for other lines.
    pub(super) fn clear(&mut self) {
        if self.is_seen && self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn drawn(done: u64, of: u64, what: &str) -> String {
    let full = (done.min(of) * WIDTH).checked_div(of).unwrap_or(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
    format!("[{bar}] {done}/{of} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_work_is_done() {
        assert!(drawn(0, 0, "").starts_with("[##############################] 0/0"));
        assert!(drawn(1, 2, "read").starts_with("[###############...............] 1/2 read"));
        assert!(drawn(9, 3, "").starts_with("[##############################] 9/3"));
    }
}
