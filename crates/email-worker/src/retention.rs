//! What becomes of the rows of each table.

use common::retention::{
    DEAD_LETTERS, DELIVERIES, DELIVERY_ATTEMPTS, HOLDS, INBOX, MIGRATIONS, OPERATIONS_AUDIT, OUTBOX, OUTBOX_KAFKA,
    Table,
};

/// The tables of this service.
pub const TABLES: &[Table] = &[
    INBOX,
    DELIVERY_ATTEMPTS,
    DELIVERIES,
    OPERATIONS_AUDIT,
    OUTBOX,
    OUTBOX_KAFKA,
    DEAD_LETTERS,
    HOLDS,
    MIGRATIONS,
];
