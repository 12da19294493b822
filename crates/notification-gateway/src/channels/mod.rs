//! The ways to reach a person, one file a channel: whom it reaches, what it says there, how a provider's answer is judged.
//!
//! `channel.rs` says what a channel is, `all.rs` has the lines for each: a new one is a file, its line here, and its lines there.
//! What a notice becomes is planned without I/O; only the dispatcher sends, one delivery at a time, and
//! when to try again is the dispatcher's.

mod all;
mod channel;
mod in_app;
mod sms;

pub(crate) use all::{Channels, EMAIL, plan};
pub(crate) use channel::{Notice, Planned};
pub(crate) use sms::Sms;
