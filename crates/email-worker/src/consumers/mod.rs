//! What this service reads, one message type a file. A consumer writes down what is wanted, and no more.

mod user_registered;

use common::database::Database;
use common::dispatch::Waker;
use common::messaging::{Handler, Message, Rejection};
use contracts::EventData;
use contracts::events::UserRegistered;

/// Name in the inbox.
const CONSUMER: &str = "email-worker.events";

/// Handles the queue `email-worker.events`.
pub(crate) struct Events {
    database: Database,
    waker: Waker,
}

impl Events {
    pub(crate) fn new(database: Database, waker: Waker) -> Self {
        Self { database, waker }
    }
}

impl Handler for Events {
    async fn handle(&self, message: &Message) -> Result<(), Rejection> {
        match message.kind.as_str() {
            UserRegistered::TYPE => user_registered::handle(self, message).await,
            unknown => Err(Rejection::dead_letter(format!("nobody here reads {unknown}"))),
        }
    }
}
