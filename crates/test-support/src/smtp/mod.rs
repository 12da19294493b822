//! A mail server that keeps what it gets and answers by a script.

mod certificate;
mod conversation;
mod kept;
mod receiver;
mod script;

pub use kept::Mail;
pub use receiver::SmtpReceiver;
pub use script::{Answer, Stage};
