//! What this service reads, one message type a file. An intake writes down what is wanted, and no more.

mod events;
mod user_registered;

pub(crate) use events::Events;
