//! The operations API: what those who run a service may ask it and have it do, below `/operations` on its operations port.
//!
//! Whoever has the token may do all of it. Where no token is set, only development has it, for the machine itself
//! (`guard.rs`). What somebody does is written into the service's own table `operations_audit` ([`audit`]): in the change
//! that does it, or, where it is done in the process' memory, before it is done. An action whose line can't be written is
//! not done.
//!
//! The frame has two nouns of its own, breakers and the audit. A service that sends has `deliveries` and `holds` beside
//! them, and all have the `journey` of a [`Key`]. A service adds rows for what it alone has ([`Api::add`]), in the same
//! form as its public ones; its actions take an [`Actor`] and a [`Reason`].

mod actor;
mod api;
pub mod audit;
pub(crate) mod deliveries;
mod destination;
mod guard;
pub(crate) mod holds;
pub(crate) mod journey;
mod list_audit;
mod list_breakers;
mod listed;
mod page;
mod reason;
mod set_breaker;
mod state;

pub use actor::Actor;
pub use api::Api;
pub use journey::{Key, Known, Tables};
pub use listed::Listed;
pub use reason::Reason;
