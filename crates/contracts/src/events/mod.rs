//! The message types, one file a type and version.
//!
//! Consumers ignore fields that they do not know, so a field may be added. A field that is taken away, or that
//! changes its meaning, needs a new version.

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
