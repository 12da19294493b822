//! A service's own database: a schema on PostgreSQL, a file on SQLite, one type for both.
//!
//! One URL may serve all three services. Storage code is written as functions over
//! `&impl ConnectionTrait`, so that the transaction is the caller's; [`Database::begin`] makes one
//! that may read before it writes on either backend.

mod connect;
mod deadline;
mod errors;
mod location;

pub use connect::{Database, DatabaseError};
pub use deadline::within_deadline;
pub use errors::{is_data_refused, is_transient, is_transient_within};
pub use location::Location;
