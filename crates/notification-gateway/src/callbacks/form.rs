//! The form of a call to us, read behind its signature.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use common::http::{Describe, FormBody, OperationDoc, Problem};

use crate::state::State;

/// The form of a call that is signed with something. One that can't be read is counted: its provider tells in vain.
#[derive(Debug)]
pub(crate) struct Form(pub(super) FormBody);

impl FromRequest for Form {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    /// It stands behind the signature in a handler, and is waited for only where that is there: no call counts twice.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<State>>().cloned();
        let form = FormBody::from_request(request, payload);
        Box::pin(async move {
            let form = form.await;
            // That no place was free while it came is nothing that is wrong with it.
            if let Err(problem) = &form
                && problem.kind().status < 500
                && let Some(state) = state
            {
                state.metrics.callback("sms", "unreadable");
            }
            form.map(Self)
        })
    }
}

impl Describe for Form {
    fn describe(operation: &mut OperationDoc) {
        FormBody::describe(operation);
    }
}
