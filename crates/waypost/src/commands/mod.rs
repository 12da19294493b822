//! The subcommands, one a file.

mod asyncapi;
mod breakers;
mod complete;
mod config;
mod deliveries;
mod demo;
mod demo_load;
mod dlq;
mod doctor;
mod hold;
mod journey;
mod migrate;
mod openapi;
mod output;
mod page;
mod prune;
mod ready;
mod run;
mod span;

pub use asyncapi::asyncapi;
pub use breakers::{Breakers, breakers};
pub use config::config;
pub use deliveries::{Deliveries, deliveries};
pub use demo::demo;
pub use demo_load::demo_load;
pub use dlq::{Dlq, dlq};
pub use doctor::doctor;
pub use hold::{Hold, Holds, Release, hold, holds, release};
pub use journey::{Journey, journey};
pub use migrate::migrate;
pub use openapi::{Api, openapi};
pub use page::page;
pub use prune::{Prune, prune};
pub use ready::ready;
pub use run::run;
