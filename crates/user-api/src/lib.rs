//! Accounts and sessions over HTTP.
//!
//! `startup` puts the parts together; `routes` is the table of operations; `accounts` and `sessions` hold one
//! operation a file, always in this order: request, refusals, answer, handler, use case. Below them stands
//! what they share: `state`, `problems`, `profile`, `user`, `passwords` (over `argon2id` and `hashing_threads`),
//! `breached`, `known_costs` and `signing_keys`. `tables` holds every statement; `journey` is what operators are told
//! of accounts. The service calls no other service of the system: what the others need to know is in its events.

mod accounts;
mod argon2id;
mod breached;
mod hashing_threads;
mod journey;
mod known_costs;
mod passwords;
mod problems;
mod profile;
mod retention;
mod routes;
mod sessions;
mod settings;
mod signing_keys;
mod startup;
mod state;
mod tables;
mod user;

pub use retention::TABLES;
pub use settings::{Accounts, Argon2, BreachedPasswords, BreachedPolicy, Own, Providers, Sessions, Settings};
pub use startup::{Backends, Running, openapi, start};
