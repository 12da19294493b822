//! The kit tried on itself: a fault test can be believed only when its tools do what they say.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod databases;
mod private_servers;
mod processes;
mod proxy;
mod smtp;
mod tap;
mod tripwire;
