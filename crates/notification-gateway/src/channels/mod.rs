//! The ways to reach a person, one file a channel that talks to a provider.
//!
//! Only the dispatcher calls in here, for one delivery at a time. A channel turns the provider's
//! answer into an `Outcome` and decides nothing else: when to try again is the dispatcher's.

mod sender;
mod sms;

pub(crate) use sender::{Channels, EMAIL, IN_APP, SMS};
pub(crate) use sms::{PROVIDER as SMS_PROVIDER, Sms, SmsPayload};
