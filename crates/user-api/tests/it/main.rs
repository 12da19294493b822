//! Tests of user-api over HTTP, on real servers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test can't set up has failed; what it measured is printed"
)]

mod breached;
mod cors;
mod faults;
mod limits;
mod log_in;
mod lost_answers;
mod pages;
mod process;
mod read;
mod refusals;
mod sign_up;
mod tables;
mod test_app;
mod unread;
mod update;
