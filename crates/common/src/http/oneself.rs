//! The person whose own id stands in the path.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::describe::{Describe, OperationDoc};
use super::{Caller, PathId, Problem, kinds};

/// The caller, whose own `{id}` the path names. Any other is 403, whether somebody has it or not.
///
/// Stands in front of what else an operation reads: a stranger is told nothing of what is wrong with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oneself(pub Caller);

impl FromRequest for Oneself {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        let id = PathId::from_request(request, payload);
        let oneself = async move {
            let (caller, PathId(id)) = (caller.await?, id.await?);
            if caller.user_id == id {
                Ok(Self(caller))
            } else {
                Err(Problem::new(&kinds::FORBIDDEN))
            }
        };
        oneself.boxed_local()
    }
}

impl Describe for Oneself {
    fn describe(operation: &mut OperationDoc) {
        Caller::describe(operation);
        PathId::describe(operation);
        operation.problem(&kinds::FORBIDDEN);
    }
}
