//! The ways to reach a person, one file a channel: whom it reaches, what it says there, how a provider's answer is judged.
//!
//! `channel.rs` says what a channel is, and `all.rs` has some lines for each: a new channel needs a file, a line here, and
//! its lines there. What becomes of a notice is planned without I/O. Only the dispatcher sends, one delivery at a time,
//! and it decides when to try again.

mod all;
mod channel;
mod in_app;
mod sms;

pub(crate) use all::{Channels, EMAIL, plan};
pub(crate) use channel::{Notice, Planned};
pub(crate) use sms::Sms;
