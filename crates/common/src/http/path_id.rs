use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use uuid::Uuid;

use super::{Problem, kinds};

/// The `{id}` of the path; what is no UUID names nothing: 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathId(pub Uuid);

impl FromRequest for PathId {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request
            .match_info()
            .get("id")
            .and_then(|text| Uuid::try_parse(text).ok());
        ready(id.map(Self).ok_or_else(|| Problem::new(&kinds::NOT_FOUND)))
    }
}
