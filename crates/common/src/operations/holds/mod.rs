//! Holds: an operator has a destination left alone for a time, by every replica of the service.

mod end;
mod list;
mod put;
mod rows;
mod state;

pub(crate) use rows::rows;
pub(crate) use state::State;
