//! The whole of Waypost over real processes, real servers and a real clock.
//!
//! The processes are this workspace's own binaries: `cargo test --workspace` builds them all.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on has failed; what it saw is printed"
)]

mod asyncapi;
mod bad_input;
mod client;
mod command_line;
mod deliveries;
mod development;
mod dlq;
mod embedded;
mod faults;
mod guarantees;
mod journey;
mod migrate;
mod openapi;
mod operations;
mod readme;
mod retention;
mod runbooks;
mod stack;
mod stopping;
mod telemetry;
mod workers;
