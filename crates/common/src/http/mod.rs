//! What every public HTTP surface shares.
//!
//! - [`edge`] is the outermost layer: one SERVER span, one duration, one problem document for
//!   whatever goes wrong inside;
//! - [`Problem`] and [`Kind`]: errors as RFC 9457 has them, and the pages that explain them;
//! - [`JsonBody`], [`PathId`]: input with bounds, whose refusals are problems;
//! - [`bearer`]: tokens and the keys that they are checked by;
//! - [`own_server`]: a server that stops with the tasks of its service.

pub mod bearer;
mod edge;
mod json_body;
mod path_id;
mod problem;
mod problem_pages;
mod remembered;
mod server;
mod unread_body;

pub use edge::{Edge, edge};
pub use json_body::{JsonBody, MAX_BODY_BYTES};
pub use path_id::PathId;
pub use problem::{FieldError, Kind, Problem, ProblemDocument, kinds};
pub use problem_pages::{not_found, only, problem_pages};
pub use server::{KEEP_ALIVE, own_server};
