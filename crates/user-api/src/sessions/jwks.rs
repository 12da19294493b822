//! `GET /.well-known/jwks.json`: the keys that access tokens are verified with.

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web::Data};
use common::http::{Problem, ProblemDocument};

use super::keys::no_keys;
use crate::startup::Api;

/// The public keys (RFC 7517).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "sessions",
    responses(
        (status = 200, description = "The keys in use, Ed25519 (RFC 8037)", body = Object),
        (status = 503, description = "`unavailable`", body = ProblemDocument<'_>, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn jwks(api: Data<Api>) -> Result<HttpResponse, Problem> {
    let ring = api.keys.ring().ok_or_else(no_keys)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(ring.jwks.clone()))
}
