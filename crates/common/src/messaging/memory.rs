//! The broker of the embedded process: the same contract as `RabbitMQ`'s, in memory.
//!
//! Nothing is lost with the process: a publish is confirmed only when every bound queue is done with the message for good.
//! By then it is handled, or among the dead letters in the consumer's database (`dead_rows.rs`). The consumer looks there,
//! also after a new start, for letters that an operator wants back in the queue.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use contracts::topology::{QUEUES, Queue};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::{Mutex, MutexGuard};
use sea_orm::DbErr;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::consumer::{Intake, Processor, Settlement};
use super::dead_rows;
use super::error::PublishError;
use super::wire::Wire;
use crate::Timestamp;
use crate::database::Database;
use crate::process::chain;
use crate::resilience::Backoff;

/// How often a consumer looks for letters that an operator wants back.
const LOOK: Duration = Duration::from_secs(1);
/// Letters that are on their way back at a time; the others wait in their rows.
const MAX_REPLAYS: u64 = 1_000;
/// Waits between attempts to write down what became of a letter.
const WAITS: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(5));

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
    /// The last consumer has left, and none has come since: what comes is dropped, unconfirmed.
    closed: bool,
    /// Where the consumer that came last keeps its dead letters.
    database: Option<Database>,
    /// Rows of dead letters that are on their way back.
    replaying: HashSet<i64>,
}

/// A message in one queue. Dropping it tells its publisher that it was not handled.
struct Item {
    wire: Wire,
    done: oneshot::Sender<()>,
    /// The row that it came from, where it was a dead letter.
    row: Option<Taken>,
}

/// The row of a dead letter that is on its way back. Dropping it lets the row be taken again.
struct Taken {
    id: i64,
    memory: Memory,
    queue: Queue,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(queue) = self.memory.queue(self.queue) {
            queue.state().replaying.remove(&self.id);
        }
    }
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

    /// The first dead letters of a queue that has a consumer, without their bodies.
    pub(super) async fn dead_letters(&self, queue: Queue, limit: u16) -> Result<Vec<Wire>, PublishError> {
        let database = self.queue(queue).and_then(|queue| queue.state().database.clone());
        let Some(database) = database else {
            return Ok(Vec::new());
        };
        let rows = dead_rows::page(&database, queue.name, 0, limit.into()).await;
        let rows = rows.map_err(|_| PublishError::Unavailable)?;
        Ok(rows.into_iter().map(|row| row.wire).collect())
    }

    fn queue(&self, queue: Queue) -> Option<&MemoryQueue> {
        self.0.iter().find(|known| known.queue.name == queue.name)
    }
}

/// Tells when each queue of a message is done with it.
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
        self.give_back(Item { wire, done, row: None });
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
}

/// Counts a consumer for as long as it lives.
struct Joined<'a>(&'a MemoryQueue);

impl<'a> Joined<'a> {
    fn new(queue: &'a MemoryQueue, database: &Database) -> Self {
        let mut state = queue.state();
        state.consumers += 1;
        state.database = Some(database.clone());
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
            let dropped = std::mem::take(&mut state.ready);
            // Unlocked first: an item that is dropped locks the state to let go of its row.
            drop(state);
            drop(dropped);
        }
    }
}

/// A message that waits, and how long, before its next attempt; `None` when it is settled.
type Later = Option<(Duration, Item)>;
type Attempt<'a> = Pin<Box<dyn Future<Output = Later> + Send + 'a>>;
type Waiting = Pin<Box<dyn Future<Output = Item> + Send>>;

/// Consumes the processor's queue until the service stops, then finishes what is in hand.
pub(super) async fn consume<I: Intake>(memory: Memory, processor: Processor<I>) {
    let Some(queue) = memory.queue(processor.queue) else {
        tracing::error!(queue = processor.queue.name, "there is no such queue");
        return;
    };
    let _joined = Joined::new(queue, processor.database());
    let at_once = usize::from(processor.options.prefetch);
    let gate = &processor.gate;
    let begin = |item: Item| -> Attempt<'_> { Box::pin(attempt(&processor, item)) };
    let mut in_hand: FuturesUnordered<Attempt<'_>> = FuturesUnordered::new();
    let mut waiting: FuturesUnordered<Waiting> = FuturesUnordered::new();
    let mut looking = pin!(take_back(&memory, queue, processor.database()));
    loop {
        let is_open = gate.is_open();
        if !is_open && in_hand.is_empty() {
            gate.drained();
        }
        tokio::select! {
            () = processor.stopping.cancelled() => break,
            () = &mut looking => {}
            Some(later) = in_hand.next() => wait(&waiting, later),
            Some(item) = waiting.next() => queue.give_back(item),
            item = queue.take(), if is_open && in_hand.len() < at_once => in_hand.push(begin(item)),
            () = processor.probe_is_due(), if !is_open && in_hand.is_empty() => match queue.take_now() {
                Some(probe) => in_hand.push(begin(probe)),
                None => gate.has_no_probe(),
            },
        }
    }
    while in_hand.next().await.is_some() {}
    // A message that waits for its next attempt is dropped here, unconfirmed: it is still in its outbox, or in its row.
}

fn wait(waiting: &FuturesUnordered<Waiting>, later: Later) {
    let Some((after, item)) = later else { return };
    waiting.push(Box::pin(async move {
        sleep(after).await;
        item
    }));
}

/// Makes one attempt at a message and settles it. It takes the item by value, so that nobody can settle it twice.
async fn attempt<I: Intake>(processor: &Processor<I>, item: Item) -> Later {
    let Item { wire, done, row } = item;
    let id = row.as_ref().map(|row| row.id);
    let settled = match processor.process(wire).await {
        Settlement::Ack => written(processor, id, None).await,
        Settlement::Dead { copy } => written(processor, id, Some(&copy)).await,
        Settlement::Delay { after, copy } | Settlement::HandBack { after, copy } => {
            let wire = copy;
            return Some((after, Item { wire, done, row }));
        }
    };
    if settled {
        // A publisher that no longer waits will send the message again; the inbox drops the copy.
        let _ = done.send(());
    }
    None
}

/// Writes down what became of a message, before it is confirmed; tries until that succeeds. `id` is the row of the dead
/// letter that it was, if it was one. False when the service stops before: then the message comes again.
async fn written<I: Intake>(processor: &Processor<I>, id: Option<i64>, dead: Option<&Wire>) -> bool {
    let (database, queue) = (processor.database(), processor.queue.name);
    let mut retry = 0;
    loop {
        let now = Timestamp::now();
        let done = match (id, dead) {
            (None, None) => Ok(()),
            (Some(id), None) => dead_rows::delete(database, id).await.map(drop),
            (Some(id), Some(letter)) => dead_rows::keep_again(database, id, letter, now).await,
            (None, Some(letter)) => dead_rows::insert(database, queue, letter, now).await,
        };
        let Err(error) = done else { return true };
        if processor.stopping.is_cancelled() {
            return false;
        }
        let error = chain(&error);
        tracing::warn!(queue, error, "what became of a dead letter can't be written down yet");
        sleep(WAITS.step(retry)).await;
        retry += 1;
    }
}

/// Puts dead letters back into the queue that somebody wants there, for as long as it is polled.
async fn take_back(memory: &Memory, queue: &MemoryQueue, database: &Database) {
    loop {
        if let Err(error) = take_back_once(memory, queue, database).await {
            tracing::debug!(queue = queue.queue.name, %error, "dead letters can't be looked at now");
        }
        sleep(LOOK).await;
    }
}

async fn take_back_once(memory: &Memory, queue: &MemoryQueue, database: &Database) -> Result<(), DbErr> {
    for row in dead_rows::asked(database, queue.queue.name, MAX_REPLAYS).await? {
        if !queue.state().replaying.insert(row.id) {
            continue;
        }
        let taken = Taken {
            id: row.id,
            memory: memory.clone(),
            queue: queue.queue,
        };
        let mut wire = row.wire;
        if let Some(body) = dead_rows::asked_body(database, row.id).await? {
            wire.body = body.into();
            // Nobody waits for this: its row tells whether it is done with.
            let (done, _) = oneshot::channel();
            queue.give_back(Item {
                wire,
                done,
                row: Some(taken),
            });
        }
    }
    Ok(())
}
