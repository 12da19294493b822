//! Accounts: one operation a file.

mod read;
mod register;
mod update;

pub(crate) use read::{read, read_me};
pub(crate) use register::register;
pub(crate) use update::update;
