//! Problems: what a caller sees of an error (RFC 9457), and the kinds that there are.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// A kind of problem: what its `type` URI names, and what the page behind it says.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Last part of `/problems/<slug>`; never changes its meaning.
    pub slug: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Short and the same every time.
    pub title: &'static str,
    /// For whoever met it: what it means and what to do.
    pub help: &'static str,
}

macro_rules! kinds {
    ($($name:ident $status:literal $slug:literal $title:literal $help:literal)*) => {
        /// The kinds that every service can answer with.
        pub mod kinds {
            use super::Kind;
            $(
                #[doc = $title]
                pub static $name: Kind = Kind { slug: $slug, status: $status, title: $title, help: $help };
            )*
            /// All of them.
            pub static ALL: &[&Kind] = &[$(&$name),*];
        }
    };
}

kinds! {
    MALFORMED_JSON 400 "malformed-json" "The body is not JSON" "Send a body that is valid JSON in UTF-8."
    BAD_REQUEST 400 "bad-request" "The request can't be read" "A header, the path or the query breaks HTTP or has a form that is not accepted."
    BAD_CURSOR 400 "bad-cursor" "The cursor is not one of ours" "Take `next_cursor` from the last answer as it is, or begin without one."
    UNAUTHORIZED 401 "unauthorized" "A valid access token is needed" "Log in, and send the token as `Authorization: Bearer <token>`. Tokens live ten minutes."
    BAD_SIGNATURE 401 "bad-signature" "The signature is not one of ours" "Sign the call with the token of the account that it names, over the address that was given for it."
    FORBIDDEN 403 "forbidden" "This is not yours" "The token is good, but it belongs to somebody else."
    NOT_FOUND 404 "not-found" "There is nothing here" "Check the address. Ids are UUIDs."
    METHOD_NOT_ALLOWED 405 "method-not-allowed" "This method does not go here" "The `Allow` header lists the methods that do."
    REQUEST_TIMEOUT 408 "request-timeout" "The body came too slowly" "Send the whole body within ten seconds."
    CONFLICT 409 "conflict" "It is not in a state for this" "`detail` says how it stands, and what can be done instead."
    PRECONDITION_FAILED 412 "precondition-failed" "It has changed since you saw it" "`If-Match` does not name the version that stands there now. Read it again, look at what has changed, and send your change with its new `ETag`."
    TOO_LARGE 413 "too-large" "The body is too large" "Bodies may have 64 KiB."
    URI_TOO_LONG 414 "uri-too-long" "The query is too long" "What stands behind the `?` of an address may have 8 KiB."
    UNSUPPORTED_MEDIA_TYPE 415 "unsupported-media-type" "The body has a type that is not read here" "Send `Content-Type: application/json`, and the body as it is or packed with gzip or deflate."
    VALIDATION 422 "validation" "The input breaks the rules" "`errors` names each field with what is wrong with it."
    PRECONDITION_REQUIRED 428 "precondition-required" "Say which version you change" "Send `If-Match` with the `ETag` of the version that you have read, so that nobody else's change is undone; `If-Match: *` changes whichever there is."
    RATE_LIMITED 429 "rate-limited" "Too many requests" "Wait for the seconds in `Retry-After`, then go on more slowly. `RateLimit-Policy` says how many requests (`q`) come back in how many seconds (`w`), `RateLimit` how many are left (`r`)."
    INTERNAL 500 "internal" "Something broke on our side" "Try again later; tell us the trace id if it stays."
    OVERLOADED 503 "overloaded" "Too much is asked at once" "Nothing was done for this request. Try again after the time in `Retry-After`, and less often where it comes from a program."
    UNAVAILABLE 503 "unavailable" "Something that this needs is away" "Try again after the time in `Retry-After`."
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// Stable name of the rule.
    pub code: &'static str,
    /// For a person.
    pub detail: String,
}

/// An error that the caller sees: `application/problem+json` (RFC 9457).
///
/// `detail` is for the caller and never holds an inner cause. The cause is for the log: whoever makes
/// the problem out of an error logs that error, once.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: &'static Kind,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    allow: Option<String>,
    is_of_token: bool,
    /// In which ways the refused body might have been packed.
    accept_encoding: Option<&'static str>,
}

/// The document as it goes out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// `/problems/<slug>`, a page that explains it.
    #[schema(format = "uri-reference")]
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    /// Path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// What to tell whoever runs this.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of this kind, with the kind's own words as detail.
    pub fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            is_of_token: false,
            accept_encoding: None,
        }
    }

    /// What is special about this case.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names one field that breaks a rule.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        });
        self
    }

    /// Names all fields that break a rule, in place of those named so far.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Says after how long to try again: `Retry-After`, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(after: Duration) -> Self {
        Self::new(&kinds::UNAVAILABLE).retry_after(after)
    }

    /// 401 to a token that was shown and is no good.
    pub fn bad_token() -> Self {
        Self {
            is_of_token: true,
            ..Self::new(&kinds::UNAUTHORIZED)
        }
    }

    /// 405 with `Allow`.
    pub fn method_not_allowed(allow: String) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(&kinds::METHOD_NOT_ALLOWED)
        }
    }

    /// 415 to a body that is packed in another way than one of these.
    pub(super) fn unknown_encoding(accepted: &'static str) -> Self {
        Self {
            accept_encoding: Some(accepted),
            ..Self::new(&kinds::UNSUPPORTED_MEDIA_TYPE)
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The fields that it names.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The problem for a bare status: of a kind with this status, or else of the most general one.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let same = kinds::ALL
            .iter()
            .find(|kind| kind.status == status.as_u16() && !["malformed-json", "overloaded"].contains(&kind.slug));
        Self::new(match same {
            Some(kind) => kind,
            None if status.is_server_error() => &kinds::INTERNAL,
            None => &kinds::BAD_REQUEST,
        })
    }

    /// The answer, with what only the outermost layer knows: the path before ours, the path, the trace.
    pub(super) fn render(&self, prefix: &str, path: Option<&str>, trace_id: Option<&str>) -> HttpResponse {
        let instance = path.map(|path| [prefix, path].concat());
        let mut response = HttpResponse::build(self.status_code());
        if let Some(after) = self.retry_after {
            response.insert_header((RETRY_AFTER, after.as_secs().max(1).to_string()));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if let Some(accepted) = self.accept_encoding {
            response.insert_header((ACCEPT_ENCODING, accepted));
        }
        if self.kind.status == 401 {
            // RFC 6750, 3 and 3.1: nothing is said of a token to who has shown none.
            let challenge = if self.is_of_token {
                "Bearer error=\"invalid_token\""
            } else {
                "Bearer"
            };
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        response.content_type("application/problem+json").json(ProblemDocument {
            r#type: format!("{prefix}/problems/{}", self.kind.slug),
            title: self.kind.title,
            status: self.kind.status,
            detail: self.detail.as_deref().unwrap_or(self.kind.help),
            instance: instance.as_deref(),
            trace_id,
            errors: &self.errors,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.title)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.render("", None, None)
    }
}
