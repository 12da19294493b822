//! The gateway's rows: functions over `&impl ConnectionTrait`, so that the transaction is the caller's.
//!
//! Nothing here knows HTTP, an event or a provider. Deliveries are `common::dispatch`'s table; what
//! is read of it is in [`deliveries`].

pub(crate) mod deliveries;
pub(crate) mod notifications;
pub(crate) mod recipients;
