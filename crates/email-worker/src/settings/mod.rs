//! What is this service's own in the settings: where mail goes, and as whose. `defaults.toml` says what each key is for.

mod mail;
mod mail_url;
mod smtp_address;

pub use mail::{Mail, Own, Settings};
pub use mail_url::MailUrl;
pub(crate) use smtp_address::login;
pub use smtp_address::{Encryption, SmtpAddress};
