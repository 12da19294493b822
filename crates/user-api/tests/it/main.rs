//! Tests of user-api over HTTP, on real servers.
#![expect(clippy::unwrap_used, reason = "what a test can't set up has failed")]

mod faults;
mod log_in;
mod lost_answers;
mod pages;
mod process;
mod read;
mod refusals;
mod sign_up;
mod tables;
mod test_app;
