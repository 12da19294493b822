//! `waypost deliveries`: shows what services that run send, and lets operators decide about single ones.

mod act;
mod arguments;
mod list;
mod run;

pub use arguments::Deliveries;
pub use run::deliveries;
