//! A stand-in for the outside world: the providers that Waypost calls, with faults to switch on.
//!
//! Speaks just enough of Twilio's, FCM's and Slack's forms for a caller not to know the difference, records
//! what it was asked, and breaks in the ways that real providers break. For demos and tests; it sends
//! nothing to anybody, takes any account and token, and knows no crate of ours.

mod answer;
mod control;
mod faults;
mod providers;
mod requests;
mod server;
mod state;

pub use server::{Config, Running, start};
