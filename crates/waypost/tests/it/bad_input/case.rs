//! One row of the table: a request, and what the API's page says to it.

use serde_json::{Value, json};

use super::wire::Answer;
use crate::client::PASSWORD;

/// Stands in a request where each sending puts its own number, so that what may succeed always does.
pub(super) const ROUND: &str = "rOuNd-nO";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Users,
    Gateway,
}

/// What must come back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// Success with this status.
    Fine(u16),
    /// This status, with a problem of this kind.
    Problem(u16, &'static str),
    /// 422, and the field that is named first.
    Field(&'static str),
}

pub(super) struct Case {
    pub(super) name: String,
    pub(super) to: To,
    request: Vec<u8>,
    expected: Expected,
}

impl Case {
    /// A request with a body, or none, and headers as bytes: anything may stand in them.
    pub(super) fn new(
        name: impl Into<String>,
        (to, method, path): (To, &str, &str),
        (headers, body): (&[&[u8]], &[u8]),
        expected: Expected,
    ) -> Self {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: waypost\r\nconnection: close\r\n").into_bytes();
        for header in headers {
            request.extend_from_slice(header);
            request.extend_from_slice(b"\r\n");
        }
        if !body.is_empty() {
            request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        Self {
            name: name.into(),
            to,
            request,
            expected,
        }
    }

    /// A JSON body to an address of user-api.
    pub(super) fn post(name: impl Into<String>, path: &str, body: impl AsRef<[u8]>, expected: Expected) -> Self {
        let json: &[&[u8]] = &[b"content-type: application/json"];
        Self::new(name, (To::Users, "POST", path), (json, body.as_ref()), expected)
    }

    /// A sign-up with one field changed.
    pub(super) fn sign_up(name: impl Into<String>, field: &str, value: impl Into<Value>, expected: Expected) -> Self {
        let mut body = someone();
        body[field] = value.into();
        Self::post(name, "/v1/users", body.to_string(), expected)
    }

    /// The request with a number in it that no other has.
    pub(super) fn request(&self, number: usize) -> Vec<u8> {
        let number = format!("{number:08}").into_bytes();
        let mut request = self.request.clone();
        while let Some(at) = request
            .windows(ROUND.len())
            .position(|window| window == ROUND.as_bytes())
        {
            request[at..at + ROUND.len()].copy_from_slice(&number);
        }
        request
    }

    /// What is wrong with the answer, if anything is.
    pub(super) fn judge(&self, answer: Option<&Answer>) -> Result<(), String> {
        let answer = answer.ok_or("no answer within the deadline")?;
        let status = answer.status.ok_or("closed without an answer")?;
        let (expected, slug, field) = match self.expected {
            Expected::Fine(status) => (status, None, None),
            Expected::Problem(status, slug) => (status, Some(slug), None),
            Expected::Field(field) => (422, Some("validation"), Some(field)),
        };
        if status != expected {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(format!("expected {expected}, got {status}: {body:.300}"));
        }
        slug.map_or(Ok(()), |slug| problem(answer, status, slug, field, self.is_head()))
    }

    fn is_head(&self) -> bool {
        self.request.starts_with(b"HEAD ")
    }
}

/// Whether the answer is the problem document that it should be.
fn problem(answer: &Answer, status: u16, slug: &str, field: Option<&str>, is_head: bool) -> Result<(), String> {
    let content_type = answer.header("content-type").unwrap_or_default();
    if content_type != "application/problem+json" {
        return Err(format!("the content type is {content_type:?}"));
    }
    if status == 405 && answer.header("allow").is_none_or(str::is_empty) {
        return Err("405 without Allow".to_owned());
    }
    if is_head {
        return Ok(());
    }
    let document = answer.json().ok_or("the body is not JSON")?;
    let trace = document["trace_id"].as_str().unwrap_or_default();
    let whole = document["status"] == status
        && document["type"] == format!("/problems/{slug}")
        && document["instance"].as_str().is_some_and(|path| !path.is_empty())
        && ["title", "detail"].iter().all(|member| document[member].is_string())
        && trace.len() == 32
        && trace.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !whole {
        return Err(format!("not the document that it should be: {document}"));
    }
    match field {
        Some(field) if document["errors"][0]["pointer"] != field => {
            Err(format!("{field} is not named first: {}", document["errors"]))
        }
        _ => Ok(()),
    }
}

/// A sign-up that is fine however often it is sent.
pub(super) fn someone() -> Value {
    json!({"email": format!("{ROUND}@example.com"), "name": "Ada", "password": PASSWORD})
}
