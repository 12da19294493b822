//! The service as it runs, over real servers: events in, mail out.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod critical_time;
mod folder;
mod mails;
mod memory;
mod once;
mod operations;
mod refusals;
mod service;
mod trace;
mod trouble;
mod world;
