//! Which rows of all services are kept how long: the page that says so, and whose tables are whose.

mod page;
mod tables;

pub use page::page;
pub use tables::tables_of;
