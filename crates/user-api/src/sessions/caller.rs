//! Who calls: the owner of the access token.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use common::{
    Timestamp,
    http::{Problem, bearer::token_of},
};
use uuid::Uuid;

use super::keys::no_keys;
use crate::startup::Api;

/// A caller whose token was checked here, against this service's own keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) user_id: Uuid,
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(check(request, Timestamp::now()))
    }
}

fn check(request: &HttpRequest, now: Timestamp) -> Result<Caller, Problem> {
    let token = token_of(request)?;
    let api = request.app_data::<Data<Api>>();
    let ring = api.and_then(|api| api.keys.ring()).ok_or_else(no_keys)?;
    let claims = ring.verifying.verify(token, now)?;
    Ok(Caller { user_id: claims.sub })
}
