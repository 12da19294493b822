//! Turns events into email: each mail asked for leaves once, however often the event arrives.
//!
//! The way of a mail: `consumers` write down that it is wanted, in one transaction with the inbox row;
//! the dispatcher of `common` claims it; `delivery` has `emails` render it and hands it to the mail
//! server; the outcome and the event that tells of it are one transaction. The tables (inbox, deliveries,
//! outbox) have the shape that `common` gives them, so there is no storage of this service's own.
//!
//! No HTTP surface but the operations port. A mail is rendered when it is sent and never stored rendered.

mod consumers;
mod delivery;
mod emails;
mod retention;
mod settings;
mod startup;

pub use retention::TABLES;
pub use settings::{Encryption, Mail, MailUrl, Own, Settings, SmtpAddress};
pub use startup::{Backends, Running, start};
