//! What every Waypost service needs and none owns.
//!
//! The modules stand in the order in which they may use each other; a module uses only what is
//! listed above it:
//!
//! - [`error_chain`]: an error and all its causes on one line
//! - [`timestamp`]: instants that are stored and compared
//! - [`autolink`]: what mail programs turn into a link
//! - [`private_files`]: files and folders that only their owner can open
//! - [`tls`]: who is trusted to vouch for servers
//! - [`config`]: one schema of settings for all binaries
//! - [`telemetry`]: traces, logs and metrics
//! - [`resilience`]: backoff, circuit breaker, limits: pure, without I/O
//! - [`process`]: owned tasks, health, the operations port, shutdown
//! - [`database`]: a service's own schema or file, behind one type
//! - [`store`]: cache and other short-lived shared state, on Redis or in memory
//! - [`limits`]: rate limits over the store, and without it
//! - [`messaging`]: outbox, broker, consumers
//! - [`outbound`]: calls to other systems over HTTP
//! - [`dispatch`]: from a delivery row to its outcome
//! - [`retention`]: which rows go when they were kept for long enough
//! - [`http`]: what every public HTTP surface shares
//! - [`operations`]: what operators may ask of a service, and the audit of what they did
//! - [`service`]: what every service opens at its start
//!
//! This crate never names a user, an email or a provider, apart from two lists that serve every binary: the keys in
//! `config/defaults.toml` and the metrics in `telemetry/metrics`.
#![warn(missing_docs, clippy::missing_errors_doc)]

pub mod autolink;
pub mod config;
pub mod database;
pub mod dispatch;
pub mod error_chain;
pub mod http;
pub mod limits;
pub mod messaging;
pub mod operations;
pub mod outbound;
pub mod private_files;
pub mod process;
pub mod resilience;
pub mod retention;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod timestamp;
pub mod tls;

pub use timestamp::Timestamp;
