//! Accounts and sessions over HTTP.
//!
//! `startup` puts the parts together; `routes` is the table of operations; `accounts` and `sessions` hold one
//! operation a file, always in this order: request, refusals, answer, handler, use case. Below them stand
//! what they share (`state`, `problems`, `profile`, `user`, `passwords` over `argon2id`, `breached`, `known_costs`, `signing_keys`) and
//! `tables`, which hold every statement; `journey` is what operators are told of accounts. The service talks to no other one: what they need to know is in its events.

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
