//! What becomes of the rows of each table.

use common::retention::{MIGRATIONS, OPERATIONS_AUDIT, OUTBOX, OUTBOX_KAFKA, Table};

/// The tables of this service.
pub const TABLES: &[Table] = &[
    OPERATIONS_AUDIT,
    OUTBOX,
    OUTBOX_KAFKA,
    MIGRATIONS,
    Table {
        name: "users",
        about: "a row a person, for as long as they have an account",
        pruning: None,
    },
    Table {
        name: "sessions",
        about: "a row goes when nobody used the session for `accounts.sessions.lifetime_s`; the sweep of sessions deletes it",
        pruning: None,
    },
    Table {
        name: "signing_keys",
        about: "a row a key",
        pruning: None,
    },
    Table {
        name: "fences",
        about: "a row a lock",
        pruning: None,
    },
];
