//! The intake of the queue `email-worker.events`: each type to its file.

use common::dispatch::Waker;
use common::messaging::{Change, Intake, Message, Rejection};
use contracts::EventData;
use contracts::events::UserRegistered;

use super::user_registered;

/// Takes in what the queue brings.
pub(crate) struct Events {
    pub(crate) dispatcher: Waker,
}

impl Intake for Events {
    /// The rows of one mail hold no lock that the rows of another mail wait for.
    const SHARES_A_CHANGE: bool = true;

    async fn take(&self, message: &Message, change: &mut Change) -> Result<(), Rejection> {
        match message.kind.as_str() {
            UserRegistered::TYPE => user_registered::take(message, change, self.dispatcher.clone()),
            unknown => Err(Rejection::dead_letter(format!("nobody here reads {unknown}"))),
        }
    }
}
