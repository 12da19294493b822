//! Conditional reads (RFC 9110, 13).

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{EntityTag, Header, IfNoneMatch};
use actix_web::{FromRequest, HttpRequest};
use utoipa::PartialSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

use super::describe::{Describe, OperationDoc};

/// The versions that the caller has, by `If-None-Match`. What can't be read names none.
#[derive(Debug)]
pub struct KnownVersions(Option<IfNoneMatch>);

impl KnownVersions {
    /// Whether the caller has this version.
    pub fn contain(&self, tag: &EntityTag) -> bool {
        match &self.0 {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
            None => false,
        }
    }
}

impl FromRequest for KnownVersions {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // Asked first: reading a header that is not there makes an error with a text.
        let is_there = request.headers().contains_key(IfNoneMatch::name());
        ready(Ok(Self(is_there.then(|| IfNoneMatch::parse(request).ok()).flatten())))
    }
}

impl Describe for KnownVersions {
    fn describe(operation: &mut OperationDoc) {
        let header = ParameterBuilder::new()
            .name("If-None-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("`ETag` of the version that the caller has"))
            .schema(Some(String::schema()));
        operation.parameter(header);
    }
}
