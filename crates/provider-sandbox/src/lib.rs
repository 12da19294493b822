//! A stand-in for the outside world: the providers that Waypost calls, with faults to switch on.
//!
//! Speaks just enough of Twilio's, FCM's, Slack's and Pwned Passwords' forms for a caller not to know the difference, records
//! what it was asked, and breaks in the ways that real providers break. For demos and tests; it takes any account and token,
//! and sends nothing to anybody: only who hands in an SMS with a `StatusCallback` is told, there, what became of it. Of our
//! crates it knows the one that bounds connections and the list of common passwords.

mod answer;
mod callbacks;
mod control;
mod faults;
mod providers;
mod ranges;
mod requests;
mod server;
mod state;
mod target;

pub use server::{Config, Running, start};
