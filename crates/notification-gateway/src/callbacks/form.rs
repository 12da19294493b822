//! The form of a provider's call to us. It is read after the signature's header was found.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use common::http::{Describe, FormBody, OperationDoc, Problem};

use crate::state::State;

/// The form of a call that has a signature, right or wrong. One that can't be read is counted, since nothing else shows it.
#[derive(Debug)]
pub(crate) struct Form(pub(super) FormBody);

impl FromRequest for Form {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    /// A handler names the signature first, and the form is read only when the signature is there: no call counts twice.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = request.app_data::<Data<State>>().cloned();
        let form = FormBody::from_request(request, payload);
        Box::pin(async move {
            let form = form.await;
            // A 5xx, such as no free place, says nothing against the form.
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
