//! `GET /.well-known/jwks.json`: the keys that access tokens are verified with.

use actix_web::{http::header::CACHE_CONTROL, web::Data};
use common::http::{Answer, Found, OperationError, keys::Jwks};

use crate::state::State;

/// Shows the public keys (RFC 7517).
pub(crate) async fn jwks(state: Data<State>) -> Result<Answer<Found<Jwks>>, OperationError> {
    let ring = state.keys.ring()?;
    Ok(Answer::found_bytes(ring.jwks.clone()).header(CACHE_CONTROL, "public, max-age=300"))
}
