//! SMS: over one provider or several, each an account of Twilio's Messages API or of anything that speaks it.
//!
//! `channel` asks one after the other, in `order`; `provider` is one of them, `answer` says what an answer of theirs means.

mod answer;
mod channel;
mod message;
mod order;
mod provider;

pub(crate) use channel::Sms;
