//! Deliveries as operators see them: which there are, what was exchanged about each, and what an operator can do to them.

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
