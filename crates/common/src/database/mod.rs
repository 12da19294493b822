//! A service's own database: a schema on PostgreSQL, a file on SQLite, one type for both.
//!
//! One URL may serve all three services. Table code is written as functions over `&impl ConnectionTrait`, so
//! that the transaction is the caller's. What a request or a message waits for has a deadline (`deadline.rs`), and no
//! service begins a transaction by itself: it opens a [`Change`](crate::messaging::Change). Each statement has its span
//! (`span.rs`) by being asked here.

mod acts;
mod authorities;
mod connect;
mod connection;
mod deadline;
mod errors;
mod ids;
mod leadership;
mod location;
mod many;
mod places;
mod refusals;
mod schema;
mod skip_locked;
mod span;
mod summary;
mod suspects;
mod tokens;
mod transaction;

pub use authorities::{TrustError, authorities, trusting};
pub use connect::{Database, DatabaseError};
pub use connection::Connection;
pub use deadline::within_deadline;
pub(crate) use deadline::{DEADLINE, within};
pub use errors::{cure, is_data_refused, is_in_trouble, is_in_trouble_within, is_transient, is_transient_within};
pub(crate) use ids::first_id;
pub(crate) use leadership::{ANSWER, Leadership, lost};
pub use location::Location;
pub use many::Many;
pub use places::Places;
pub use schema::lacks_tables;
pub use skip_locked::skip_locked;
pub use transaction::Transaction;
