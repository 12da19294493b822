//! A page of the guide, taken apart line by line: headings, fences, markers, links; and the sources that it quotes.
//!
//! It reads the Markdown that the guide is written in, which is less than Markdown: fences of backticks, headings of `#`,
//! links in one line. docs/guide/AUTHORS.md says how a page is written.

mod item;
mod link;
mod page;
mod quote;
mod quotes;
mod tree;

pub use link::{Link, slug};
pub use page::{Block, Fence, Kind, Page};
pub use quote::quote;
pub use quotes::write_quotes;
pub use tree::{LANGUAGES, pages, read};
