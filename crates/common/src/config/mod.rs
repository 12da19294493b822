//! Settings: one schema, read the same way by every binary.
//!
//! [`load`] puts the layers together (built-in defaults, `./waypost.toml`, the environment), each
//! with a service's own table over the shared sections, and refuses a key that nobody reads or a
//! value that can't be, naming the key and where it came from. `defaults.toml` beside this file
//! lists every setting with its meaning. Nothing else in the workspace reads the environment.

mod clear_text;
mod development;
mod effective;
mod error;
mod for_tests;
mod hosts;
mod layers;
mod limits;
mod listed;
mod networks;
mod origins;
mod parameters;
mod service;
mod settings;

pub use clear_text::ClearText;
pub use development::DevelopmentPart;
pub use effective::{EffectiveSetting, effective};
pub use error::ConfigError;
pub use hosts::Hosts;
pub use layers::{load, load_from};
pub use limits::{Algorithm, RateLimit, RateLimits};
pub use networks::Networks;
pub use origins::Origins;
pub use service::Service;
pub use settings::{
    Accounts, Argon2, Auth, Broker, Database, Dispatch, Http, LogFormat, Mail, Operations, Overload, Process, Profile,
    Providers, Sessions, Settings, Sms, Store, Telemetry,
};
