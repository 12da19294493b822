//! The start of a service: what each of them opens in the same way, once.
//!
//! A service's `startup` opens its [`Kit`], adds what is its own and serves. What must not be here: a table, a queue, a
//! channel or a route of one service.

mod kit;

pub use kit::{Kit, KitError, Parts};
