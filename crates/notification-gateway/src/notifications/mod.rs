//! Notifications: one operation a file, and what a notification is.
//!
//! Rows are found by the caller's id, so another's notification is not there: 404.

mod change_state;
mod count_unread;
mod event_stream;
mod list;
mod list_deliveries;
mod notify;
mod page;
mod read_all;
mod show;
mod stream;
mod view;
mod welcome;

pub(crate) use change_state::change_state;
pub(crate) use count_unread::count_unread;
pub(crate) use list::list;
pub(crate) use list_deliveries::list_deliveries;
pub(crate) use notify::notify;
pub(crate) use read_all::read_all;
pub(crate) use show::show;
pub(crate) use stream::stream;
pub(crate) use welcome::welcome;
