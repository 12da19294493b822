//! TLS to real servers whose certificates are right, expired, for another name, or from an authority that nobody knows.
//!
//! Each client connects through a tap: what is not for everybody's eyes must not be read there.

mod broker;
mod database;
mod expected;
mod store;
