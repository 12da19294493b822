//! `waypost dlq`: what was set aside, without any service that runs: list, show, replay, drop.

mod audited;
mod bar;
mod command;
mod desk;
mod discard;
mod groups;
mod list;
mod moment;
mod outcome;
mod print;
mod replay;
mod selection;
mod show;

pub use command::{Dlq, dlq};
