//! A JSON body with bounds, whose refusals are problems.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::ToSchema;

use super::body::body;
use super::describe::{Describe, OperationDoc};
use super::{Problem, kinds};

/// What a body may come as.
const MEDIA_TYPES: &[&str] = &["application/json"];
pub(super) const OTHER_TYPE: &str = "This has another type than the field.";

/// A JSON body of at most [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES), read within ten seconds.
///
/// It may come packed with gzip or deflate; the bound holds before and after it is unpacked. 415 for another content type or
/// encoding, 413 when it is larger, 408 when it is slower, 400 when it is no JSON, 422 when it has another shape: the first
/// field that does not fit is named.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = json_body(request, payload, MEDIA_TYPES);
        Box::pin(async move { body.await.map(Self) })
    }
}

/// Takes the body, which may come as any of these media types; it is read when this is awaited.
pub(super) fn json_body<T: DeserializeOwned + 'static>(
    request: &HttpRequest,
    payload: &mut Payload,
    media_types: &[&str],
) -> impl Future<Output = Result<T, Problem>> + use<T> {
    let body = body(request, payload, media_types);
    async move { parse(&body.await?) }
}

impl<T: ToSchema> Describe for JsonBody<T> {
    fn describe(operation: &mut OperationDoc) {
        operation.body::<T>(MEDIA_TYPES);
        describe_refusals(operation);
    }
}

/// Adds the problems of a body.
pub(super) fn describe_refusals(operation: &mut OperationDoc) {
    for kind in [
        &kinds::MALFORMED_JSON,
        &kinds::BAD_REQUEST,
        &kinds::REQUEST_TIMEOUT,
        &kinds::TOO_LARGE,
        &kinds::UNSUPPORTED_MEDIA_TYPE,
        &kinds::VALIDATION,
    ] {
        operation.problem(kind);
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::new(&kinds::MALFORMED_JSON).detail("The body is not UTF-8."))?;
    // A parser may ignore a byte order mark (RFC 8259, 8.1), and some editors and clients write one.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with('{') {
        // A derived reader would take an array for the fields in their order.
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| explain("", &error))?;
        return Err(Problem::new(&kinds::VALIDATION).error("", "type", "The body must be a JSON object."));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // Where a variant's name is wanted, serde takes a number for a fault of the JSON.
        if error.inner().classify() != Category::Data && is_json(text) {
            return Problem::new(&kinds::VALIDATION).error(pointer_to(&path, ""), "type", OTHER_TYPE);
        }
        explain(&path, error.inner())
    })?;
    reader.end().map_err(|error| explain("", &error))?;
    Ok(value)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fn explain(path: &str, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        let place = format!(
            "The body is not JSON at line {}, column {}.",
            error.line(),
            error.column()
        );
        return Problem::new(&kinds::MALFORMED_JSON).detail(place);
    }
    let text = error.to_string();
    let named = text.split('`').nth(1).unwrap_or_default();
    let (field, code, detail) = if text.starts_with("missing field") {
        (named, "required", "This field is missing.")
    } else if text.starts_with("duplicate field") {
        (named, "duplicate", "This field is there twice.")
    } else if text.starts_with("unknown field") {
        (named, "unknown", "There is no such field.")
    } else if let Some(words) = words_of(&text) {
        return Problem::new(&kinds::VALIDATION).error(pointer_to(path, ""), "unknown", format!("must be {words}"));
    } else {
        ("", "type", OTHER_TYPE)
    };
    Problem::new(&kinds::VALIDATION).error(pointer_to(path, field), code, detail)
}

/// The words that a field may be, when another one stood there.
fn words_of(text: &str) -> Option<String> {
    let (_, expected) = text.strip_prefix("unknown variant")?.rsplit_once(", expected ")?;
    let words = expected.rsplit_once(" at line").map_or(expected, |(words, _)| words);
    Some(words.replace('`', ""))
}

/// `a.b[0]` and a field of it as a JSON Pointer; `.` is the whole document.
fn pointer_to(path: &str, field: &str) -> String {
    let path = path.replace('[', ".").replace(']', "");
    let mut parts: Vec<&str> = path
        .split('.')
        .filter(|part| !part.is_empty() && *part != "?")
        .collect();
    if !field.is_empty() && parts.last() != Some(&field) {
        parts.push(field);
    }
    pointer(parts)
}

/// The JSON Pointer (RFC 6901) that these names lead along.
pub(super) fn pointer<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(String::new(), |pointer, name| {
        pointer + "/" + &name.replace('~', "~0").replace('/', "~1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Input {
        email: String,
        name: Option<String>,
        #[serde(default)]
        mood: Option<Mood>,
    }

    #[derive(Debug, serde::Deserialize)]
    enum Mood {
        Fine,
    }

    fn refusal(body: &[u8]) -> (u16, String) {
        let problem = parse::<Input>(body).unwrap_err();
        (problem.kind().status, format!("{:?}", problem.field_errors()))
    }

    #[test]
    fn what_is_no_json_is_400_and_what_has_another_shape_is_422_with_the_field() {
        for body in [
            &b"{"[..],
            b"",
            b"nonsense",
            b"{\"email\":\"\xff\"}",
            b"{\"email\":\"a\"} x",
            b"{\"email\":\"\\ud83d\"}",
        ] {
            assert_eq!(refusal(body).0, 400, "{body:?}");
        }
        let cases: [(&[u8], &str, &str); 7] = [
            (
                b"{\"email\":\"a\",\"mood\":\"Sad, expected `x`\"}",
                "/mood",
                "must be Fine",
            ),
            (b"{}", "/email", "required"),
            (b"{\"email\":\"a\",\"email\":\"b\"}", "/email", "duplicate"),
            (b"{\"email\":1}", "/email", "type"),
            (b"[1]", "", "type"),
            (b"{\"email\":\"a\",\"mood\":1}", "/mood", "type"),
            (b"{\"email\":\"a\",\"mood\":[\"Fine\"]}", "/mood", "type"),
        ];
        for (body, pointer, code) in cases {
            let (status, errors) = refusal(body);
            assert_eq!(status, 422, "{body:?}");
            assert!(
                errors.contains(&format!("\"{pointer}\"")) && errors.contains(code),
                "{errors}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_deep_stack() {
        let body = format!("{{\"email\":{}", "[".repeat(60_000));
        assert_eq!(parse::<Input>(body.as_bytes()).unwrap_err().kind().slug, "validation");
        let body = format!("{{\"x\":{}", "[".repeat(60_000));
        assert_eq!(parse::<Input>(body.as_bytes()).unwrap_err().kind().status, 400);
    }
}
