//! The notification gateway: events become notifications, and notifications reach people.
//!
//! Read it in this order: `startup` puts the parts together; `consumers/` records what an event
//! asks for, in one transaction; `notifications/` has the rules and what people see; `channels/`
//! talks to providers, from the dispatcher alone; `http/` is the public surface; `storage/` is
//! SQL and nothing else. `http` and `consumers` use the rules, the rules use `storage`; no arrow
//! goes back.

mod channels;
mod consumers;
mod http;
mod notifications;
mod startup;
mod storage;

pub use startup::{Backends, Running, start};
