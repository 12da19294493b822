//! HTTP servers whose connections are bounded: in number, in what waits to be sent, and in time.
//!
//! actix-web's own server times the head of the first request of a connection and the rest between two, and nothing else: a
//! peer that asks and never reads, or whose second request never ends, keeps its connection for good, with all that waits to
//! be sent there. So every server of this workspace is built here:
//!
//! - [`Listener::serve`] runs an app over connections that are [`Guarded`]: cut when nothing could be answered for
//!   [`PATIENCE`], and on which nothing is read behind a request before that is answered;
//! - [`PerAddress`] counts the connections of each address, and has those closed at once that are too many;
//! - [`Slices`] is the body of an answer that is in memory already and is handed on piece by piece, so that a connection
//!   holds a few of them and not a copy of the whole.
//!
//! A leaf: it knows nothing of Waypost.
#![warn(missing_docs)]

mod answering;
mod guarded;
mod listener;
mod per_address;
mod slices;
mod state;

pub use guarded::{Guarded, PATIENCE};
pub use listener::Listener;
pub use per_address::PerAddress;
pub use slices::Slices;
pub use state::Hold;
