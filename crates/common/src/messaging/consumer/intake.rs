//! What a service does with the messages of a queue.

use std::future::Future;

use contracts::topology::Queue;

use super::ConsumerOptions;
use crate::messaging::change::{Change, Changes};
use crate::messaging::message::Message;
use crate::messaging::rejection::Rejection;

/// Takes in what a queue's messages ask for: it writes down the intent, in the change that it is given.
///
/// The change holds the message's inbox row already and is committed when `take` returns `Ok`; effects and
/// inbox row are there together, or not at all. So a message that comes again changes nothing, and an intake
/// opens no transaction, asks no inbox and acknowledges nothing. It never talks to the outside.
pub trait Intake: Send + Sync + 'static {
    /// Whether several messages may be taken in with one change: `broker.batch` at most, of 5 ms.
    ///
    /// It costs a commit instead of many. It asks that one message's rows do not keep another's from being written, such
    /// as a lock that is held until the commit; and that a message may be taken for a change that then comes to nothing,
    /// after which it is taken again by itself. Effects and inbox rows are there together as always.
    const SHARES_A_CHANGE: bool = false;

    /// Takes one message in. Called inside its process span, possibly for several messages at once, and
    /// again for a message whose change was not committed.
    ///
    /// # Errors
    /// [`Rejection::Retry`] for what may pass, [`Rejection::DeadLetter`] for what can't.
    ///
    /// # Cancel safety
    /// Dropped when its time is over, and at the end of the process; the message comes again.
    fn take(&self, message: &Message, change: &mut Change) -> impl Future<Output = Result<(), Rejection>> + Send;
}

/// A queue, and what becomes of its messages.
#[derive(Debug)]
pub struct Consumer<I> {
    /// The queue; its name is the consumer's in the inbox.
    pub queue: Queue,
    /// What takes its messages in.
    pub intake: I,
    /// Where they are taken in.
    pub changes: Changes,
    /// How many at a time, how long, how often.
    pub options: ConsumerOptions,
}
