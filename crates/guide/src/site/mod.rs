//! The guide as a site: a book a language, as mdBook takes it, and what its pages need in a browser.
//!
//! Nothing of it comes from elsewhere when it is read: sources are copied, drawings are made by a script of the site.

mod book;
mod drawing;

pub use book::prepare;
