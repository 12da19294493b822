//! mq-5: a message that comes again changes nothing.

use std::time::Duration;

use tokio::time::timeout;

use super::office::{Database, dies_after};
use crate::exercises::exercise::Verdict;

/// Messages, and how often each comes.
const MESSAGES: u32 = 20;
const COPIES: u32 = 3;
/// Points at which a process dies in turn: more than taking one message in has awaits.
const STEPS: usize = 16;
const SOON: Duration = Duration::from_secs(10);

/// Somebody is to get a mail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// The same in each copy, and in no other message.
    pub(crate) id: u32,
    pub(crate) to: u32,
}

/// A consumer of messages, which a learner writes.
pub(crate) trait Takes: Send + Sync + 'static {
    /// Makes the consumer of one process.
    fn new(database: Database) -> Self;
    /// Takes a message in: one mail is ordered. The message is acknowledged when this returns. If the process dies before
    /// that, the message comes again.
    fn take(&self, message: Message) -> impl Future<Output = ()> + Send;
}

pub(crate) async fn check<T: Takes>() -> Verdict {
    let checks = async {
        one_after_the_other::<T>().await?;
        at_once::<T>().await?;
        when_it_dies::<T>().await
    };
    let checked = timeout(SOON, checks).await;
    checked.unwrap_or_else(|_| {
        Err("A message was never taken in to its end: is a transaction open that waits for another?".into())
    })?;
    Ok(format!(
        "{MESSAGES} messages came {COPIES} times each, two copies came at once, and the process died at each step: one mail \
         for each message."
    ))
}

async fn one_after_the_other<T: Takes>() -> Result<(), String> {
    let database = Database::default();
    let worker = T::new(database.clone());
    for _ in 0..COPIES {
        for number in 1..=MESSAGES {
            // Two messages to one person are two mails.
            let (id, to) = (number, number.div_ceil(2));
            worker.take(Message { id, to }).await;
        }
    }
    let mails = database.read().await.mails.len();
    let wanted = MESSAGES as usize;
    if mails > wanted {
        return Err(format!(
            "{MESSAGES} messages came three times each, and {mails} mails were ordered. Remember the id of what was taken in, \
             and do nothing for an id that is known."
        ));
    }
    if mails < wanted {
        return Err(format!(
            "{MESSAGES} messages came, and {mails} mails were ordered: two messages to one person are two, told apart by their id."
        ));
    }
    Ok(())
}

async fn at_once<T: Takes>() -> Result<(), String> {
    let database = Database::default();
    let (one, other) = (T::new(database.clone()), T::new(database.clone()));
    let message = Message { id: 1, to: 1 };
    tokio::join!(one.take(message), other.take(message));
    match database.read().await.mails.len() {
        1 => Ok(()),
        mails => Err(format!(
            "Two copies came at once to two workers, and {mails} mails were ordered: look for the id and remember it in one \
             transaction, so that the second one waits for the first."
        )),
    }
}

async fn when_it_dies<T: Takes>() -> Result<(), String> {
    for steps in 0..STEPS {
        let database = Database::default();
        let message = Message { id: 1, to: 1 };
        dies_after(steps, T::new(database.clone()).take(message)).await;
        // The message was not acknowledged, or the acknowledgement got lost: it comes again.
        T::new(database.clone()).take(message).await;
        match database.read().await.mails.len() {
            1 => {}
            0 => return Err(
                "The process died after it had remembered the message and before it ordered the mail: the copy was \
                             taken for known, and nobody gets a mail. Remember it in the transaction of its effect."
                    .into(),
            ),
            mails => {
                return Err(format!(
                    "The process died after it had ordered the mail and before it remembered the message: {mails} mails. Remember it \
                 in the transaction of its effect."
                ));
            }
        }
    }
    Ok(())
}
