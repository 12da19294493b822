//! The comparisons, each with its target.

mod figures;
mod journey;
mod reads;
mod relay;
mod sign_ups;

pub(crate) use self::{journey::journey, reads::reads, relay::relay, sign_ups::sign_ups};
