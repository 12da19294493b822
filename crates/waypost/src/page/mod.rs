//! The development page: the mails of the mail folder, and the traces of this process.
//!
//! Served under a development profile only, on an address of its own. `/mails.json` and
//! `/traces/{id}.json` are what `waypost demo` reads.

mod html;
mod mails;
mod server;
mod shown;
mod traces;

pub use mails::Mail;
pub use server::serve;
pub use traces::tree;
