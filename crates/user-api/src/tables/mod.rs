//! The tables of this service, and every statement on them.
//!
//! Functions over `&impl ConnectionTrait`, so that the transaction is the caller's. They know no HTTP and no rule: not
//! found is `Ok(None)`, and `users::is_email_taken` tells a broken unique key from other errors.

pub(crate) mod fences;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod users;
