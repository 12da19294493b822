//! What every public HTTP surface shares.
//!
//! - [`edge`] is the outermost layer: one SERVER span, one duration, one problem document for
//!   whatever goes wrong inside;
//! - [`Problem`] and [`Kind`]: errors as RFC 9457 has them, and the pages that explain them;
//! - [`JsonBody`], [`PathId`]: input with bounds, whose refusals are problems;
//! - [`readable`] and [`only`]: routes with the methods that they have, and no others;
//! - [`api_docs`]: the description of the API, and a page to browse it;
//! - [`bearer`]: tokens and the keys that they are checked by;
//! - [`own_server`]: a server that stops with the tasks of its service.

mod api_docs;
pub mod bearer;
mod edge;
mod json_body;
mod path_id;
mod problem;
mod problem_pages;
mod remembered;
mod routes;
mod unread_body;

pub use crate::process::{KEEP_ALIVE, own_server};
pub use api_docs::api_docs;
pub use edge::{Edge, edge};
pub use json_body::{JsonBody, MAX_BODY_BYTES};
pub use path_id::PathId;
pub use problem::{FieldError, Kind, Problem, ProblemDocument, kinds};
pub use problem_pages::problem_pages;
pub use routes::{not_found, only, readable};
