//! Sessions: logging in, and the keys that prove it. One operation a file.

mod create;
mod jwks;
mod sweep;

pub(crate) use create::create;
pub(crate) use jwks::jwks;
pub(crate) use sweep::Sweep;
