//! Tests of the gateway as a whole: real HTTP, real databases, a provider on a real port.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test can't set up has failed"
)]

mod app;
mod callbacks;
mod cors;
mod documents;
mod events;
mod faults;
mod limits;
mod lost_answers;
mod notifications;
mod operations;
mod provider;
mod sms;
mod sms_providers;
mod stream;
mod tables;
mod tokens;
mod updates;
