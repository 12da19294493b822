//! Accounts: one operation a file.

mod profile;
pub(crate) mod read;
pub(crate) mod register;
mod user;

pub(crate) use self::{
    profile::Email,
    read::{read, read_me},
    register::register,
    user::{UserKey, role_names},
};
