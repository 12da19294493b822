//! The destination in a path.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::PartialSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

use crate::http::{Describe, OperationDoc, Problem};

/// The `{destination}` of a path. Nothing is checked: the operation knows which destinations there are.
pub(super) struct Destination(pub(super) String);

impl FromRequest for Destination {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = request.match_info().get("destination").unwrap_or_default();
        ready(Ok(Self(name.to_owned())))
    }
}

impl Describe for Destination {
    fn describe(operation: &mut OperationDoc) {
        let name = ParameterBuilder::new()
            .name("destination")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("As the list calls it"))
            .schema(Some(String::schema()));
        operation.parameter(name);
    }
}
