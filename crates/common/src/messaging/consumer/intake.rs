//! What a service does with the messages of a queue.

use std::future::Future;

use contracts::topology::Queue;

use super::ConsumerOptions;
use crate::messaging::change::{Change, Changes};
use crate::messaging::message::Message;
use crate::messaging::rejection::Rejection;

/// Takes in what a queue's messages ask for: it writes down what is to be done, in the change that it is given.
///
/// The change holds the message's inbox row already, and is committed when `take` returns `Ok`: effects and inbox row are
/// there together, or not at all. So a message that comes again changes nothing. An intake opens no transaction, asks
/// no inbox, acknowledges nothing, and never talks to the outside.
pub trait Intake: Send + Sync + 'static {
    /// Whether several messages may be taken in with one change: those that come within 5 ms, `broker.batch` at most.
    ///
    /// It saves commits. It may be true only when one message's rows never keep another's from being written, for example
    /// by a lock that is held until the commit; and when `take` may be called for a change that is then not committed,
    /// and again for the same message by itself. Effects and inbox rows are there together as always.
    const SHARES_A_CHANGE: bool = false;

    /// Takes one message in. Called inside its process span, possibly for several messages at once, and
    /// again for a message whose change was not committed.
    ///
    /// # Errors
    /// [`Rejection::Retry`] for what may pass, [`Rejection::DeadLetter`] for what can't.
    ///
    /// # Cancel safety
    /// It is dropped when its time is over, and at the end of the process; the message comes again.
    fn take(&self, message: &Message, change: &mut Change) -> impl Future<Output = Result<(), Rejection>> + Send;
}

/// A queue, and how its messages are taken in.
#[derive(Debug)]
pub struct Consumer<I> {
    /// The queue; the inbox knows the consumer by the queue's name.
    pub queue: Queue,
    /// What takes its messages in.
    pub intake: I,
    /// Opens the changes in which they are taken in.
    pub changes: Changes,
    /// How many at a time, for how long, and how often each is tried.
    pub options: ConsumerOptions,
}
