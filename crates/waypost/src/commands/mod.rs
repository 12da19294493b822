//! The subcommands, one a file.

mod asyncapi;
mod breakers;
mod complete;
mod config;
mod demo;
mod demo_load;
mod dlq;
mod doctor;
mod migrate;
mod openapi;
mod page;
mod prune;
mod ready;
mod run;

pub use asyncapi::asyncapi;
pub use breakers::{Breakers, breakers};
pub use config::config;
pub use demo::demo;
pub use demo_load::demo_load;
pub use dlq::{Dlq, dlq};
pub use doctor::doctor;
pub use migrate::migrate;
pub use openapi::{Api, openapi};
pub use page::page;
pub use prune::{Prune, prune};
pub use ready::ready;
pub use run::run;
