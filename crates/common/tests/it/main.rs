//! Tests of common that meet real servers.
#![expect(clippy::unwrap_used, reason = "what a test can't set up has failed")]
#![expect(clippy::print_stdout, reason = "what was measured is worth a look")]

mod change;
mod database;
mod dispatch;
mod limits;
mod messaging;
mod metrics;
mod migrations;
mod operations;
mod outbound;
mod overload;
mod retention;
mod scripted_server;
mod service;
mod statement_spans;
mod store;
mod subscriber;
mod tls;
