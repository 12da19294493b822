//! What becomes of the rows of each table.

use std::time::Duration;

use crate::Timestamp;
use crate::config::Retention;

/// A table, and what becomes of its rows.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Which rows go, or why they stay: a phrase.
    pub about: &'static str,
    /// How the rows that go are found; `None` when all stay, or go in another way.
    pub pruning: Option<Pruning>,
}

/// How rows are found that were kept for long enough.
#[derive(Debug, Clone, Copy)]
pub struct Pruning {
    /// The setting that says how long they are kept.
    pub setting: &'static str,
    /// Reads its value.
    pub kept: fn(&Retention) -> Duration,
    pub(super) key: &'static str,
    pub(super) age: Age,
    pub(super) only: Option<Only>,
}

/// Which rows alone may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Only {
    /// In SQL.
    pub(super) condition: &'static str,
    /// The index that has these rows alone, in the order of age.
    pub(super) index: &'static str,
}

/// What says how old a row is. An index is in its order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Age {
    /// A column with a time.
    Column(&'static str),
    /// The primary key `id`, a `UUIDv7`: it begins with the millisecond in which the row was made.
    Id,
}

impl Pruning {
    /// Rows by the time in their id, which is a `UUIDv7` and the primary key.
    pub const fn by_id(setting: &'static str, kept: fn(&Retention) -> Duration) -> Self {
        Self {
            setting,
            kept,
            key: "id",
            age: Age::Id,
            only: None,
        }
    }

    /// The time before which rows must have been made, or last changed, to go.
    pub fn before(&self, retention: &Retention, now: Timestamp) -> Timestamp {
        now - (self.kept)(retention)
    }
}

/// What consumers have taken in.
pub const INBOX: Table = Table {
    name: "inbox",
    about: "what a consumer took in that long ago",
    pruning: Some(Pruning {
        setting: "retention.inbox_s",
        kept: |retention| retention.inbox,
        key: "consumer, message_id",
        age: Age::Column("received_at"),
        only: None,
    }),
};

/// What is to be sent, is being sent, and was.
pub const DELIVERIES: Table = Table {
    name: "deliveries",
    about: "deliveries whose last change was that long ago; never one that is pending or sending",
    pruning: Some(Pruning {
        setting: "retention.deliveries_s",
        kept: |retention| retention.deliveries,
        key: "id",
        age: Age::Column("updated_at"),
        // As the index has it, word for word.
        only: Some(Only {
            condition: "status IN ('accepted', 'delivered', 'failed', 'suppressed', 'expired', 'cancelled')",
            index: "deliveries_ended",
        }),
    }),
};

/// What was exchanged about deliveries.
pub const DELIVERY_ATTEMPTS: Table = Table {
    name: "delivery_attempts",
    about: "what was exchanged that long ago about a delivery",
    pruning: Some(Pruning::by_id("retention.delivery_attempts_s", |retention| {
        retention.delivery_attempts
    })),
};

/// What operators did.
pub const OPERATIONS_AUDIT: Table = Table {
    name: "operations_audit",
    about: "what operators did that long ago",
    pruning: Some(Pruning::by_id("retention.operations_audit_s", |retention| {
        retention.operations_audit
    })),
};

/// Events that wait for the broker.
pub const OUTBOX: Table = Table {
    name: "outbox",
    about: "a row goes when the broker has confirmed its event, and never before, however old it is",
    pruning: None,
};

/// Events that wait for Kafka. They go some day even when Kafka has not taken them: a Kafka that never comes back, or an
/// outlet that was switched off, must not fill the service's own database.
pub const OUTBOX_KAFKA: Table = Table {
    name: "outbox_kafka",
    about: "events that have waited for Kafka that long; one goes earlier when Kafka has confirmed it",
    pruning: Some(Pruning {
        setting: "retention.outbox_kafka_s",
        kept: |retention| retention.outbox_kafka,
        key: "id",
        age: Age::Column("created_at"),
        only: None,
    }),
};

/// What was set aside where the broker is in memory.
pub const DEAD_LETTERS: Table = Table {
    name: "dead_letters",
    about: "of the broker in memory; a row goes when somebody drops or replays it, as on RabbitMQ",
    pruning: None,
};

/// What operators hold back.
pub const HOLDS: Table = Table {
    name: "holds",
    about: "a row a destination that an operator held",
    pruning: None,
};

/// Which migrations were applied.
pub const MIGRATIONS: Table = Table {
    name: "seaql_migrations",
    about: "a row a migration",
    pruning: None,
};

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;
    use crate::dispatch::Status;

    #[test]
    fn of_deliveries_each_that_has_ended_goes_and_no_other() {
        let only = DELIVERIES.pruning.unwrap().only.unwrap().condition;
        for status in Status::iter() {
            let has_work_to_do = matches!(status, Status::Pending | Status::Sending);
            let goes = only.contains(&format!("'{}'", status.as_str()));
            assert_ne!(goes, has_work_to_do, "{status:?}");
        }
    }
}
