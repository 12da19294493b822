//! One binary for all of Waypost: the services in one process, and the tools around them.
//!
//! [`asyncapi`] describes the messages between services; [`embedded`] runs the three services and the sandbox provider
//! together; [`migrate`] makes their tables; [`page`] is the development page; `commands` holds one file a subcommand;
//! `operations` asks services at their operations ports; [`retention`] says which rows are kept how long; [`settings`] are
//! those of every program.

pub mod asyncapi;
pub mod commands;
pub mod embedded;
pub mod migrate;
mod operations;
pub mod page;
pub mod retention;
pub mod settings;
