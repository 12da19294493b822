//! Threads that hash, and give way to all others.
//!
//! A hash keeps a core busy for tens of milliseconds. If a hash ran on each core at the usual priority, a request that takes
//! microseconds would wait some milliseconds for its turn. So these threads run at the lowest priority. They have all cores
//! while nobody else wants them, and hardly any while somebody does: a flood of log-ins slows log-ins, and nothing else.
//!
//! A thread of the lowest priority may stand still at any place while others are busy, so it must never hold a lock that
//! others wait for. Waking a task takes such a lock. So each result goes to another thread of the usual priority, which
//! wakes those who wait and gives their places back. Only that thread waits when the channel's lock stands still.
//!
//! Not tokio's blocking threads: those serve others too, and a priority, once lowered, stays.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;

/// The lowest priority that still gets turns.
const LOWEST: i32 = 19;

/// Hashes. It gives back what is then done at the usual priority.
type Job = Box<dyn FnOnce() -> Told + Send>;
/// Hands the result to whoever waits for it, and gives the place back.
type Told = Box<dyn FnOnce() + Send>;

/// The threads. They end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct HashingThreads {
    jobs: Sender<Job>,
}

impl HashingThreads {
    /// Starts this many threads for hashing, and the one that hands their results on.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, taken) = channel();
        let (done, told) = channel::<Told>();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..threads {
            let (taken, done) = (Arc::clone(&taken), done.clone());
            std::thread::Builder::new()
                .name("hashing".to_owned())
                .spawn(move || work_off(&taken, &done))?;
        }
        std::thread::Builder::new()
            .name("hashed".to_owned())
            .spawn(move || tell_all(told))?;
        Ok(Self { jobs })
    }

    /// Has one of the threads do `work`, and keeps `held` until it is over. `None` when the work panicked.
    ///
    /// # Cancel safety
    /// The work goes on, and `held` stays until its end.
    pub(crate) async fn run<T, H>(&self, held: H, work: impl FnOnce() -> T + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        H: Send + 'static,
    {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let job = Box::new(move || -> Told {
            // The panic was logged; whoever waits is told by the end of its channel.
            let worked = catch_unwind(AssertUnwindSafe(work)).ok();
            Box::new(move || {
                drop(held);
                if let Some(worked) = worked {
                    let _ = done.send(worked);
                }
            })
        });
        self.jobs.send(job).ok()?;
        outcome.await.ok()
    }
}

/// Hands each result on; a panic in one does not keep the others.
fn tell_all(told: Receiver<Told>) {
    for tell in told {
        let _ = catch_unwind(AssertUnwindSafe(tell));
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>, done: &Sender<Told>) {
    // On Linux a priority is a thread's own.
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
        tracing::warn!(%error, "hashing threads can't give way: requests will wait for log-ins");
    }
    loop {
        let next = jobs.lock().recv();
        let Ok(job) = next else { return };
        if done.send(job()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct AtItsEnd<F: FnOnce()>(Option<F>);

    impl<F: FnOnce()> Drop for AtItsEnd<F> {
        fn drop(&mut self) {
            if let Some(end) = self.0.take() {
                end();
            }
        }
    }

    #[tokio::test]
    async fn they_have_the_lowest_priority_and_outlive_a_panic() {
        let threads = HashingThreads::start(1).unwrap();
        assert_eq!(threads.run((), || panic!("a defect")).await, None::<()>);
        let priority = threads.run((), || rustix::process::getpriority_process(None)).await;
        assert_eq!(priority, Some(Ok(LOWEST)));
        // Who waits is told at the usual one, and so is a place given back.
        let (left, priority) = std::sync::mpsc::channel();
        let held = AtItsEnd(Some(move || {
            let _ = left.send(rustix::process::getpriority_process(None));
        }));
        assert_eq!(threads.run(held, || ()).await, Some(()));
        assert_ne!(priority.recv(), Ok(Ok(LOWEST)));
        // This thread's own is as it was.
        assert_ne!(rustix::process::getpriority_process(None), Ok(LOWEST));
    }
}
