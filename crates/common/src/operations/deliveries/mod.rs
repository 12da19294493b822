//! Deliveries as those who run a service see them: which there are, what was exchanged about each, what is to become of one.

mod cancel;
mod filter;
mod list;
mod order;
mod resend;
mod retry_all;
mod retry_now;
mod rows;
mod state;
mod view;

pub(crate) use rows::rows;
pub(crate) use state::State;
pub(super) use view::{DeliveryView, views};
