//! Accounts: one operation a file.

mod read;
mod register;

pub(crate) use read::{read, read_me};
pub(crate) use register::register;
