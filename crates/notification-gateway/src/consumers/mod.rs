//! What the gateway does with events: one file a type.
//!
//! An intake writes what one change can hold and is done. It never talks to a provider.

mod email_sent;
mod events;
mod recipient;
mod user_registered;
mod user_updated;

pub(crate) use events::GatewayEvents;
