//! A mail server that keeps what it gets and answers by a script.

mod conversation;
mod kept;
mod receiver;
mod script;
mod tls;

pub use kept::Mail;
pub use receiver::SmtpReceiver;
pub use script::{Answer, Stage};
