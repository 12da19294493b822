//! Accounts and sessions over HTTP.
//!
//! `startup` puts the parts together; `http` names the routes; `accounts` and `sessions` hold one
//! operation a file (its errors, its request, its handler, its use case); `storage` holds every
//! statement. A change and the event that tells of it are one transaction. The service talks to no
//! other one: what they need to know is in its events.

mod accounts;
mod http;
mod passwords;
mod sessions;
mod startup;
mod storage;

pub use startup::{Backends, Running, start};
