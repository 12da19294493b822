//! From a delivery row to the mail server, and from its answer to the row's outcome.

mod error;
mod folder;
mod order;
mod sender;
mod smtp;
mod transport;

pub(crate) use order::{CHANNEL, MailOrder, destination};
pub(crate) use sender::MailSender;
pub(crate) use transport::Transport;
