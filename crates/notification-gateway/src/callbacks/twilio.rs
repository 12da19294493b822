//! Twilio's signature of a call to us: a header that goes with the form.
//!
//! Source: Twilio, "Webhooks security": HMAC-SHA1 with the account's token over the address that was called and the form's
//! fields, sorted by name, each name followed by its value; in base64.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::http::{Describe, OperationDoc, Problem, kinds};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::state::State;

const HEADER: &str = "X-Twilio-Signature";
/// Longest called address that is looked at, in bytes.
const MOST_OF_A_URL: usize = 2_048;

/// The signature of a call, and the addresses that it may be made over.
#[derive(Debug)]
pub(crate) struct Signature {
    given: Vec<u8>,
    /// The address that was called, with each scheme that the caller may have written.
    called: Vec<String>,
}

impl Signature {
    /// Whether the owner of `token` signed the form, for the address `known` or the one that was called.
    pub(super) fn is_of(&self, token: &str, known: Option<&str>, form: &[(String, String)]) -> bool {
        let addresses = known.into_iter().chain(self.called.iter().map(String::as_str));
        let mut fields: Vec<&(String, String)> = form.iter().collect();
        fields.sort();
        addresses.into_iter().any(|address| {
            let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else {
                return false;
            };
            mac.update(address.as_bytes());
            for (name, value) in &fields {
                mac.update(name.as_bytes());
                mac.update(value.as_bytes());
            }
            mac.verify_slice(&self.given).is_ok()
        })
    }
}

impl FromRequest for Signature {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// A call that is refused here is counted here, since its form is not read and the handler does not run.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get(HEADER);
        let given = header.and_then(|value| STANDARD.decode(value.as_bytes()).ok());
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let host = request.connection_info().host().to_owned();
        let called = ["https", "http"].map(|scheme| format!("{scheme}://{host}{path}"));
        ready(match given {
            Some(given) if called[0].len() <= MOST_OF_A_URL => Ok(Self {
                given,
                called: called.into(),
            }),
            _ => {
                if let Some(state) = request.app_data::<Data<State>>() {
                    let outcome = if header.is_some() { "bad_signature" } else { "unsigned" };
                    state.metrics.callback("sms", outcome);
                }
                Err(Problem::new(&kinds::BAD_SIGNATURE))
            }
        })
    }
}

impl Describe for Signature {
    fn describe(operation: &mut OperationDoc) {
        let signature = ParameterBuilder::new()
            .name(HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
        operation.parameter(signature);
        operation.problem(&kinds::BAD_SIGNATURE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_twilio_s_documentation_is_taken() {
        let form = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let signature = Signature {
            given: STANDARD.decode("RSOYDt4T1cUTdK1PDd93/VVr8B8=").unwrap(),
            called: vec![],
        };
        let address = Some("https://mycompany.com/myapp.php?foo=1&bar=2");
        assert!(signature.is_of("12345", address, &form));
        assert!(!signature.is_of("12346", address, &form));
        assert!(!signature.is_of("12345", Some("https://mycompany.com/myapp.php"), &form));
        assert!(!signature.is_of("12345", address, &form[1..]));
    }
}
