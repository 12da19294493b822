//! Tables that keep themselves small: which rows go, when, and how.
//!
//! A service names each of its tables once, as a [`Table`]: with a time from the section `retention` of the settings, or
//! with why its rows stay. One process of the service at a time (on SQLite perhaps several) deletes what may go, by an
//! index, in batches with pauses between. A row that still has work to do never goes: a delivery that is pending or
//! sending, an event that the broker has not confirmed. docs/retention.md is made of the same tables.

mod pruner;
mod statements;
mod table;
mod task;

pub use pruner::{Found, Pruned, Pruner};
pub use table::{
    DEAD_LETTERS, DELIVERIES, DELIVERY_ATTEMPTS, HOLDS, INBOX, MIGRATIONS, OPERATIONS_AUDIT, OUTBOX, OUTBOX_KAFKA,
    Pruning, Table,
};
