//! Holds each published message version to its golden bytes.

mod golden;
