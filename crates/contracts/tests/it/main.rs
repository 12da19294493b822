//! Holds each published message version to its golden bytes, and all versions to each other.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod golden;
mod released;
mod versions;
