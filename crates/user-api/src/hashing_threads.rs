//! Threads that hash, and give way to all others.
//!
//! A hash keeps a core busy for tens of milliseconds. At the usual priority, as many as there are cores leave a request
//! that takes microseconds waiting for its turn of some milliseconds; so these run at the lowest. They have all cores while
//! nobody else wants them, and hardly any while somebody does: a flood of log-ins slows log-ins, and nothing else.
//!
//! Not tokio's blocking threads: those serve others too, and a priority, once lowered, stays.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The lowest priority that still gets turns.
const LOWEST: i32 = 19;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. They end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct HashingThreads {
    jobs: Sender<Job>,
}

impl HashingThreads {
    /// Starts so many.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, taken) = channel();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..threads {
            let taken = Arc::clone(&taken);
            std::thread::Builder::new()
                .name("hashing".to_owned())
                .spawn(move || work_off(&taken))?;
        }
        Ok(Self { jobs })
    }

    /// Has one of them do `work`; `None` when it panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let job = Box::new(move || {
            let _ = done.send(work());
        });
        self.jobs.send(job).ok()?;
        outcome.await.ok()
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>) {
    // On Linux a priority is a thread's own.
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
        tracing::warn!(%error, "hashing threads can't give way: requests will wait for log-ins");
    }
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // The panic was logged; whoever waits is told by the end of its channel.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_have_the_lowest_priority_and_outlive_a_panic() {
        let threads = HashingThreads::start(1).unwrap();
        assert_eq!(threads.run(|| panic!("a defect")).await, None::<()>);
        let priority = threads.run(|| rustix::process::getpriority_process(None)).await;
        assert_eq!(priority, Some(Ok(LOWEST)));
        // This thread's own is as it was.
        assert_ne!(rustix::process::getpriority_process(None), Ok(LOWEST));
    }
}
