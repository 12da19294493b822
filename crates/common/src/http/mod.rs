//! What every public HTTP surface shares.
//!
//! An operation is a handler whose signature says everything: what it reads (extractors such as [`JsonBody`],
//! [`FormBody`], [`MergePatch`], [`PathId`], [`Caller`]), what it answers ([`Answer`]) and why it does not
//! ([`OperationError`]). A [`RouteTable`] of [`Endpoint`]s is all that [`serve`] has to be told of the API; `Allow`, HEAD,
//! the pages for problems and the API's description follow from it.
//!
//! - the edge (`edge.rs`) is the outer layer: one SERVER span, one duration, one problem document for
//!   whatever goes wrong inside;
//! - outside of it, only where pages of other origins may use the service, stands `cors.rs`;
//! - the door (`door.rs`) stands before each route: it refuses a query that is too long (`query.rs`), then at once what
//!   could only be served too late (`shed.rs`); inside of that, the limit (`limit.rs`) counts the request towards its
//!   class of rate limit;
//! - [`PrivateSurface`]: the same edge, problems and rows on a port that is not for the public, without limits;
//! - [`Problem`] and [`Kind`]: errors as RFC 9457 has them, and the pages that explain them;
//! - [`Violations`], [`Failure`]: input that breaks rules, and failures that are nobody's input;
//! - [`Verifier`], [`keys`], [`claims`]: tokens and the keys that they are checked by; [`KeyPair`]: what signs them.

mod answer;
mod body;
mod caller;
pub mod claims;
mod conditional;
mod cors;
mod describe;
mod door;
mod edge;
mod encoding;
mod endpoint;
mod failure;
mod form_body;
mod held_place;
mod in_order;
mod json_body;
mod key_pair;
pub mod keys;
mod limit;
mod merge_patch;
mod oneself;
mod operation;
mod pages;
mod paging;
mod path_id;
mod place;
mod private_surface;
mod problem;
mod query;
mod remembered;
mod route_table;
mod serve;
mod shed;
mod source;
mod unread_body;
mod verifier;
mod violations;

pub use answer::{Answer, Created, Found, Issued, NoContent, Taken, Updated, Versioned};
pub use body::MAX_BODY_BYTES;
pub use caller::{Admin, Caller, Scope, Scoped, StreamCaller};
pub use conditional::{ExpectedVersions, KnownVersions};
pub use describe::{Access, Describe, OperationDoc};
pub use endpoint::Endpoint;
pub use failure::Failure;
pub use form_body::FormBody;
pub use json_body::JsonBody;
pub use key_pair::{KeyPair, UnusableKey};
pub use merge_patch::{Edit, Member, MergePatch, OtherMembers};
pub use oneself::Oneself;
pub use operation::{Missing, NoRefusal, OperationError, Refusal};
pub use paging::{LIMIT_DEFAULT, LIMIT_MOST, page_limit, query_fields, query_parameter};
pub use path_id::PathId;
pub use place::Place;
pub use private_surface::PrivateSurface;
pub use problem::{FieldError, Kind, Problem, ProblemDocument, kinds};
pub use route_table::RouteTable;
pub use serve::{Doors, Surface, serve};
pub use source::source;
pub use verifier::{TokenKeys, Verifier};
pub use violations::{Violation, Violations};

pub use crate::limits::Class;
