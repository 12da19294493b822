//! resilience-8: no work is done for callers that have gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::shared_limit::SOON;
use crate::exercises::exercise::Verdict;

/// Requests that come at once.
const CROWD: usize = 200;
/// Requests that the server works at side by side, and how long one takes.
pub(crate) const PLACES: usize = 4;
pub(crate) const TAKES: Duration = Duration::from_millis(20);
/// After so long a caller is gone.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);
/// Most answers that may come too late, as others use the machine, too, and fewest that must come in time.
const LATE: usize = 10;
const IN_TIME: usize = 20;

/// The door of a server with [`PLACES`], which a learner writes.
pub(crate) trait Admits: Send + Sync + 'static {
    /// Makes the door of one server.
    fn new() -> Self;
    /// Has the work done, or refuses it; says whether it was done.
    fn serve(&self, work: Work) -> impl Future<Output = bool> + Send;
}

/// One request's work.
pub(crate) struct Work {
    gone_at: Instant,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    in_time: AtomicUsize,
    late: AtomicUsize,
}

impl Work {
    /// Does it.
    pub(crate) async fn run(self) {
        sleep(TAKES).await;
        let count = if Instant::now() <= self.gone_at {
            &self.counts.in_time
        } else {
            &self.counts.late
        };
        count.fetch_add(1, SeqCst);
    }
}

pub(crate) async fn check<A: Admits>() -> Verdict {
    let (door, counts) = (A::new(), Arc::<Counts>::default());
    let gone_at = Instant::now() + PATIENCE;
    let crowd = join_all((0..CROWD).map(|_| {
        let counts = Arc::clone(&counts);
        door.serve(Work { gone_at, counts })
    }));
    let Ok(served) = timeout(SOON, crowd).await else {
        return Err("Some requests were neither served nor refused.".into());
    };
    let (in_time, late) = (counts.in_time.load(SeqCst), counts.late.load(SeqCst));
    if served.iter().filter(|done| **done).count() != in_time + late {
        return Err("What is said to be done is not what was done.".into());
    }
    if late > LATE {
        return Err(format!(
            "{late} of {CROWD} requests were done after their caller had gone, and {in_time} in time: the server is as busy \
             as it can be, for nobody. Refuse whoever would wait for longer than a caller does."
        ));
    }
    if in_time < IN_TIME {
        return Err(format!(
            "{in_time} of {CROWD} requests were answered; the server could have done more in the time that callers wait."
        ));
    }
    Ok(format!(
        "{in_time} of {CROWD} were answered in time, {late} too late, {} refused at once or soon.",
        CROWD - in_time - late
    ))
}
