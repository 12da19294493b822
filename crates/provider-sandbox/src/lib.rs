//! A stand-in for the outside world: the providers that Waypost calls, with faults to switch on.
//!
//! It speaks just enough of the APIs of Twilio, FCM, Slack and Pwned Passwords for a caller not to know the difference. It
//! records what it was asked, and breaks in the ways that real providers break. It is for demos and tests: it takes any
//! account and token, and sends nothing to anybody, except to the `StatusCallback` of an SMS, which is told what became of
//! it. Of our crates it knows the one that bounds connections and the list of common passwords.

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
