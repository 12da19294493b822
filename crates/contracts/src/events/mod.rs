//! The message types, one file a type and version.
//!
//! Consumers ignore fields that they do not know, so a field may be added; one that is taken away
//! or changes its meaning asks for a new version.

mod email_sent;
mod user_registered;

pub use email_sent::EmailSent;
pub use user_registered::UserRegistered;
