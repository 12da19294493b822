//! A form as a body, with bounds.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use url::form_urlencoded;

use super::body::body;
use super::describe::{Describe, OperationDoc};
use super::{Problem, kinds};

/// What a form comes as.
const MEDIA_TYPES: &[&str] = &["application/x-www-form-urlencoded"];
/// Most fields of a form.
const MOST_FIELDS: usize = 200;

/// The fields of a form (`application/x-www-form-urlencoded`), in the order in which they came.
///
/// It is bounded as a [`JsonBody`](super::JsonBody) is, and has 200 fields at most: 422 for more.
#[derive(Debug)]
pub struct FormBody(pub Vec<(String, String)>);

impl FormBody {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl FromRequest for FormBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = body(request, payload, MEDIA_TYPES);
        Box::pin(async move {
            let bytes = body.await?;
            let fields: Vec<_> = form_urlencoded::parse(&bytes)
                .take(MOST_FIELDS + 1)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            if fields.len() > MOST_FIELDS {
                let problem = Problem::new(&kinds::VALIDATION);
                return Err(problem.error("", "too_many", "A form has 200 fields at most."));
            }
            Ok(Self(fields))
        })
    }
}

impl Describe for FormBody {
    fn describe(operation: &mut OperationDoc) {
        operation.form(MEDIA_TYPES);
        for kind in [
            &kinds::BAD_REQUEST,
            &kinds::REQUEST_TIMEOUT,
            &kinds::TOO_LARGE,
            &kinds::UNSUPPORTED_MEDIA_TYPE,
            &kinds::VALIDATION,
        ] {
            operation.problem(kind);
        }
    }
}
