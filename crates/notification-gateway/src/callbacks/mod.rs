//! What providers tell of messages that they took, by calls to us.
//!
//! A call is believed by its signature alone. What it tells moves a delivery on, once, and never back.

mod form;
mod sms;
mod twilio;

pub(crate) use sms::sms;
