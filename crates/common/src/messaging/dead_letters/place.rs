//! Where the dead letters of one queue are.

use std::fmt;

use contracts::topology::Queue;

use crate::database::Database;
use crate::messaging::rabbit::Rabbit;

/// The dead letters of one queue. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    pub(super) queue: Queue,
    /// The database of the queue's consumer: its inbox tells what became of a message.
    pub(super) database: Database,
    pub(super) kept: Kept,
}

/// Who keeps the letters.
#[derive(Clone)]
pub(super) enum Kept {
    /// The broker, in a queue.
    Broker(Rabbit),
    /// The consumer's database, in a table.
    Table,
}

impl DeadLetters {
    pub(in crate::messaging) fn on_rabbit(queue: Queue, rabbit: Rabbit, database: Database) -> Self {
        let kept = Kept::Broker(rabbit);
        Self { queue, database, kept }
    }

    pub(in crate::messaging) fn in_table(queue: Queue, database: Database) -> Self {
        let kept = Kept::Table;
        Self { queue, database, kept }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadLetters").field(&self.queue.name).finish()
    }
}
