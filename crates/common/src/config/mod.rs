//! Settings: one schema, read the same way by every binary.
//!
//! The layers are put together (built-in defaults, `./waypost.toml`, the environment), each with a service's own table
//! over the shared sections; a key that nobody reads or a value that can't be is refused, with its name and where it
//! came from. `defaults.toml` beside this file lists every setting with its meaning. Nothing else in the workspace
//! reads the environment.
//!
//! [`Settings`] are the sections that several programs share. A section that one program reads stands with it: its type,
//! its rules, what production would better not have there ([`OwnSettings`]). [`SettingsOf::load`] reads both; it is the
//! only way, so that the start, `waypost doctor` and `waypost config` refuse the same. The files use each other in one
//! direction: `load` -> `layers` -> `known` -> `table`, and `load` -> `own`, `rules` -> `review` -> `settings` -> what a
//! single value is.

mod durations;
mod effective;
mod error;
mod for_tests;
mod forms;
mod hosts;
mod http_url;
mod known;
mod layers;
mod limits;
mod listed;
mod load;
mod networks;
mod origins;
mod own;
mod parameters;
mod retention;
mod retention_rules;
mod review;
mod rules;
mod service;
mod settings;
mod several;
mod table;
mod urls;
mod weaknesses;

pub use durations::{millis, seconds};
pub use effective::{EffectiveSetting, effective};
pub use error::ConfigError;
pub use hosts::Hosts;
pub use http_url::HttpUrl;
pub use limits::{Algorithm, RateLimit, RateLimits};
pub use networks::Networks;
pub use origins::Origins;
pub use own::{OwnSettings, SettingsOf};
pub use retention::Retention;
pub use review::{Review, leads_elsewhere, leads_to_own_port, parameter};
pub use service::Service;
pub use settings::{
    Broker, Database, Dispatch, Http, KafkaOutlet, LogFormat, Operations, Outlets, Overload, Process, Profile,
    Settings, Store, Telemetry,
};
pub use urls::{BrokerUrl, KafkaServers, StoreUrl};
pub use weaknesses::WeakPart;
