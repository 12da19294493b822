//! What a service brings to the journeys that it is asked for.

use std::pin::Pin;
use std::sync::Arc;

use sea_orm::DbErr;

use super::events::EventView;
use super::key::Key;
use crate::Timestamp;
use crate::database::Database;

/// Which tables a service has that journeys are read from.
#[derive(Debug, Clone, Copy)]
pub enum Tables {
    /// The outbox alone: it takes no events in and sends nothing.
    Outbox,
    /// The outbox, and the tables of what it took in and of what it sends.
    InboxAndDeliveries,
}

/// What a service knows of the person that a key names.
#[derive(Default)]
pub struct Known {
    /// The other keys of the same person: their id, an address, a number.
    pub(super) keys: Vec<String>,
    /// What there is to say of them.
    pub(super) events: Vec<EventView>,
}

impl Known {
    /// Adds a person's id and what else they are known by.
    #[must_use]
    pub fn person(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Adds something of the service's own: its id, what it is (such as `account`), its state, and when it was made.
    #[must_use]
    pub fn thing(mut self, (id, kind): (uuid::Uuid, &str), state: &str, at: Timestamp) -> Self {
        self.events.push(EventView::of_a_thing((id, kind), state, at));
        self
    }
}

/// Finds the person that a key names.
pub(crate) type Knows = Arc<dyn Fn(Key) -> Pin<Box<dyn Future<Output = Result<Known, DbErr>> + Send>> + Send + Sync>;

/// What the operation works with.
pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) tables: Tables,
    pub(crate) knows: Knows,
}
