//! The broker of the embedded process: the same contract as `RabbitMQ`'s, in memory.
//!
//! Keeps nothing that matters: a publish is confirmed only when every bound queue is done with the
//! message for good (handled, or among the dead letters, which live as long as the process).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use contracts::topology::{QUEUES, Queue};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

use super::consumer::{Intake, Processor, Settlement};
use super::error::PublishError;
use super::wire::Wire;

/// Dead letters that each queue keeps; the oldest goes first.
const MAX_DEAD_LETTERS: usize = 1_000;

#[derive(Clone)]
pub(super) struct Memory(Arc<Vec<MemoryQueue>>);

struct MemoryQueue {
    queue: Queue,
    state: Mutex<QueueState>,
    arrived: Notify,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<Item>,
    consumers: usize,
    /// The last consumer has left: nobody will ever confirm.
    closed: bool,
    dead: VecDeque<Wire>,
}

/// A message in one queue. Dropping it tells its publisher that it was not handled.
struct Item {
    wire: Wire,
    done: oneshot::Sender<()>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let queue = |queue: &Queue| MemoryQueue {
            queue: *queue,
            state: Mutex::default(),
            arrived: Notify::new(),
        };
        Self(Arc::new(QUEUES.iter().map(queue).collect()))
    }

    /// Puts the message into every bound queue; [`Handled`] tells when all are done with it.
    ///
    /// A type that nobody binds is done with at once: there is no disk to fill and nobody to look.
    pub(super) fn publish_event(&self, kind: &str, wire: &Wire) -> Handled {
        let bound = self.0.iter().filter(|queue| queue.queue.bindings.contains(&kind));
        let waiting: Vec<_> = bound.map(|queue| queue.push(wire.clone())).collect();
        if waiting.is_empty() {
            tracing::warn!(kind, "a message was published that no queue is bound to");
        }
        Handled(waiting)
    }

    pub(super) fn dead_letters(&self, queue: Queue, limit: u16) -> Vec<Wire> {
        let Some(queue) = self.queue(queue) else {
            return Vec::new();
        };
        queue.state().dead.iter().take(limit.into()).cloned().collect()
    }

    fn queue(&self, queue: Queue) -> Option<&MemoryQueue> {
        self.0.iter().find(|known| known.queue.name == queue.name)
    }
}

/// What becomes of a message in each of its queues.
#[must_use = "a publish counts when every queue is done with the message"]
pub(super) struct Handled(Vec<oneshot::Receiver<()>>);

impl Handled {
    pub(super) async fn by_all(self) -> Result<(), PublishError> {
        let outcomes = futures_util::future::join_all(self.0).await;
        let all_done = outcomes.iter().all(Result::is_ok);
        if all_done {
            Ok(())
        } else {
            Err(PublishError::Unavailable)
        }
    }
}

impl MemoryQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock()
    }

    fn push(&self, wire: Wire) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        self.give_back(Item { wire, done });
        waiting
    }

    fn give_back(&self, item: Item) {
        let mut state = self.state();
        if !state.closed {
            state.ready.push_back(item);
            drop(state);
            self.arrived.notify_one();
        }
    }

    async fn take(&self) -> Item {
        loop {
            if let Some(item) = self.take_now() {
                return item;
            }
            self.arrived.notified().await;
        }
    }

    fn take_now(&self) -> Option<Item> {
        let item = self.state().ready.pop_front()?;
        // Another consumer of this queue may sleep while there is more.
        self.arrived.notify_one();
        Some(item)
    }

    fn bury(&self, copy: Wire) {
        let mut state = self.state();
        if state.dead.len() == MAX_DEAD_LETTERS {
            state.dead.pop_front();
        }
        state.dead.push_back(copy);
    }
}

/// Counts a consumer for as long as it lives.
struct Joined<'a>(&'a MemoryQueue);

impl<'a> Joined<'a> {
    fn new(queue: &'a MemoryQueue) -> Self {
        let mut state = queue.state();
        state.consumers += 1;
        state.closed = false;
        drop(state);
        Self(queue)
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.consumers -= 1;
        if state.consumers == 0 {
            state.closed = true;
            state.ready.clear();
        }
    }
}

type Attempt<'a> = Pin<Box<dyn Future<Output = (oneshot::Sender<()>, Settlement)> + Send + 'a>>;
type Waiting = Pin<Box<dyn Future<Output = Item> + Send>>;

/// Consumes the processor's queue until the service stops, then finishes what is in hand.
pub(super) async fn consume<I: Intake>(memory: Memory, processor: Processor<I>) {
    let Some(queue) = memory.queue(processor.queue) else {
        tracing::error!(queue = processor.queue.name, "there is no such queue");
        return;
    };
    let _joined = Joined::new(queue);
    let at_once = usize::from(processor.options.prefetch);
    let gate = &processor.gate;
    let begin = |item: Item| -> Attempt<'_> {
        let processor = &processor;
        Box::pin(async move { (item.done, processor.process(item.wire).await) })
    };
    let mut in_hand: FuturesUnordered<Attempt<'_>> = FuturesUnordered::new();
    let mut waiting: FuturesUnordered<Waiting> = FuturesUnordered::new();
    loop {
        let is_open = gate.is_open();
        if !is_open && in_hand.is_empty() {
            gate.drained();
        }
        tokio::select! {
            () = processor.stopping.cancelled() => break,
            Some((done, settlement)) = in_hand.next() => settle(queue, &waiting, done, settlement),
            Some(item) = waiting.next() => queue.give_back(item),
            item = queue.take(), if is_open && in_hand.len() < at_once => in_hand.push(begin(item)),
            () = processor.probe_is_due(), if !is_open && in_hand.is_empty() => match queue.take_now() {
                Some(probe) => in_hand.push(begin(probe)),
                None => gate.has_no_probe(),
            },
        }
    }
    while let Some((done, settlement)) = in_hand.next().await {
        settle(queue, &waiting, done, settlement);
    }
    // What waits for its next attempt is dropped here, unconfirmed: it is still in its outbox.
}

/// Settles one message, once: it is moved in and gone after.
fn settle(queue: &MemoryQueue, waiting: &FuturesUnordered<Waiting>, done: oneshot::Sender<()>, settlement: Settlement) {
    match settlement {
        // A publisher that no longer waits sends the message again; the inbox drops the copy.
        Settlement::Ack => drop(done.send(())),
        Settlement::Dead { copy } => {
            queue.bury(copy);
            let _ = done.send(());
        }
        Settlement::Delay { after, copy } | Settlement::HandBack { after, copy } => {
            waiting.push(Box::pin(async move {
                tokio::time::sleep(after).await;
                Item { wire: copy, done }
            }));
        }
    }
}
