//! What becomes of the rows of each table.

use common::retention::{
    DEAD_LETTERS, DELIVERIES, DELIVERY_ATTEMPTS, HOLDS, INBOX, MIGRATIONS, OPERATIONS_AUDIT, OUTBOX, OUTBOX_KAFKA,
    Pruning, Table,
};

/// The tables of this service.
pub const TABLES: &[Table] = &[
    INBOX,
    DELIVERY_ATTEMPTS,
    DELIVERIES,
    Table {
        name: "notifications",
        about: "people's notifications that were made that long ago, read or not",
        pruning: Some(Pruning::by_id("retention.notifications_s", |retention| {
            retention.notifications
        })),
    },
    OPERATIONS_AUDIT,
    Table {
        name: "recipients",
        about: "a row a person, for as long as they have an account",
        pruning: None,
    },
    OUTBOX,
    OUTBOX_KAFKA,
    DEAD_LETTERS,
    HOLDS,
    MIGRATIONS,
];
