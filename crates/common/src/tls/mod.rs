//! TLS to servers: which authorities are trusted, and what is to be done when a certificate is not taken.
//!
//! Every client of ours checks what a server shows, and takes its authorities from here. Nothing here connects.

mod authorities;
mod cure;

pub use authorities::{Authorities, AuthoritiesError, client};
pub use cure::{NO_TLS, cure};
