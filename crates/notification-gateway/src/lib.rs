//! The notification gateway: events become notifications, and notifications reach people.
//!
//! `startup` puts the parts together; `routes` is the table of operations; `consumers` record what an event
//! asks for, one message type a file; `notifications` holds one operation a file (request, refusals, answer,
//! handler, use case) and what a notification is; `callbacks` take what providers tell of messages; `channels`
//! talk to providers, called by the dispatcher alone; `journey` is what operators are told of people.
//! Below them stand `state`, `live`, `published_keys` and `tables`, which holds every statement.

mod callbacks;
mod channels;
mod consumers;
mod journey;
mod live;
mod notifications;
mod published_keys;
mod retention;
mod routes;
mod settings;
mod startup;
mod state;
mod tables;

pub use retention::TABLES;
pub use settings::{AfterUnknown, Auth, Own, Providers, Settings, Sms, SmsProvider};
pub use startup::{Backends, Running, openapi, start};
