//! Sessions: logging in, and the tokens that prove it. One operation a file.

mod caller;
pub(crate) mod create;
pub(crate) mod jwks;
mod keys;

pub(crate) use self::{caller::Caller, create::create, jwks::jwks, keys::SigningKeys};
