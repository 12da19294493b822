//! What one service knows of a journey: it leads from an address, a number, a person, an event or a trace to the events and
//! deliveries that belong to it. `waypost journey` joins the services' answers.

mod events;
mod key;
mod known;
mod show;

pub use key::Key;
pub(crate) use known::State;
pub use known::{Known, Tables};
pub(crate) use show::rows;
