//! resilience-6: a breaker closes again, also when the caller of its probe has gone away.

use std::time::{Duration, Instant};

use crate::exercises::exercise::Verdict;

/// Failures in a row that open it.
pub(crate) const FAILURES: u32 = 5;
/// How long it is open before a probe may pass.
pub(crate) const OPEN: Duration = Duration::from_secs(5);
/// A probe that has not ended by then will not.
pub(crate) const PROBE: Duration = Duration::from_secs(10);

/// A breaker that opens after [`FAILURES`] in a row, and lets one probe at a time pass when it was open for [`OPEN`].
pub(crate) trait Guards: Send + Sync + 'static {
    /// Makes a closed breaker.
    fn new() -> Self;
    /// Whether a call may be made now. A caller that gets leave may go away without a report.
    fn admit(&self, now: Instant) -> bool;
    /// How a call ended that had leave.
    fn report(&self, succeeded: bool, now: Instant);
}

pub(crate) fn check<G: Guards>() -> Verdict {
    let (guard, start) = (G::new(), Instant::now());
    for _ in 0..FAILURES {
        if !guard.admit(start) {
            return Err("It refuses a call before anything has failed often enough.".into());
        }
        guard.report(false, start);
    }
    if guard.admit(start + OPEN / 2) {
        return Err(format!(
            "{FAILURES} calls failed in a row, and the next one is made all the same."
        ));
    }
    let probe = start + OPEN + Duration::from_millis(1);
    if !guard.admit(probe) {
        return Err("It was open for its time, and lets no probe pass.".into());
    }
    if guard.admit(probe) {
        return Err("Two probes are under way at once: who is just getting up is to be asked once.".into());
    }
    // Its caller was cancelled: nobody reports.
    let again = (1..=3600)
        .map(|second| probe + Duration::from_secs(second))
        .find(|now| guard.admit(*now));
    let Some(again) = again else {
        return Err(
            "The caller of the probe went away without a word, and an hour later nobody may call it: the breaker waits for \
             a report that never comes, half-open for ever. Give a probe a time after which it counts as failed."
                .into(),
        );
    };
    if again < probe + PROBE {
        return Err("A second probe was let through while the first one still had its time.".into());
    }
    guard.report(true, again);
    if (0..3).any(|_| !guard.admit(again)) {
        return Err("A probe passed, and the breaker still refuses calls.".into());
    }
    Ok(format!(
        "The first probe was lost; the next one passed {} s later, and all is as before.",
        (again - probe).as_secs()
    ))
}
