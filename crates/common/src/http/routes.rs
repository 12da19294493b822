use actix_web::guard::{Any, Get, Head};
use actix_web::{HttpResponse, Route, web};

use super::{Problem, kinds};

/// The default of an app: nothing is here.
pub fn not_found() -> Route {
    web::to(|| async { Err::<HttpResponse, _>(Problem::new(&kinds::NOT_FOUND)) })
}

/// A route for GET and HEAD, which is GET without the body (RFC 9110, 9.1): `readable().to(handler)`.
pub fn readable() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// The default of a resource: 405, with the methods that it has.
pub fn only(allow: &'static str) -> Route {
    web::to(move || async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allow)) })
}
