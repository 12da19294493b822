//! The message types, one file a type and version.
//!
//! Consumers ignore fields that they do not know, so a field may be added; one that is taken away
//! or changes its meaning asks for a new version.

mod described;
mod email_sent;
mod person;
mod user_registered;
mod user_updated;

pub use described::Described;
pub use email_sent::EmailSent;
pub use person::Person;
pub use user_registered::UserRegistered;
pub use user_updated::UserUpdated;
