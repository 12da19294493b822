//! Answers are values: status, headers and body, made where the operation's result is at hand.
//!
//! So an answer can be made before the change that it tells of is committed, and be kept beside it.

use std::fmt;
use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use connections::Slices;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};

use super::describe::{Describe, OperationDoc, text_header};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// An answer whose possible forms are those of the shape `S`.
///
/// If its body can't be written as JSON, it is a 500 without a body, to which the edge gives a problem document.
#[derive(Clone)]
pub struct Answer<S> {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    shape: PhantomData<fn() -> S>,
}

/// 201 with the new thing, where it is, and its version.
pub struct Created<T>(PhantomData<T>);
/// 201 with what is shown once and can't be read anywhere.
pub struct Issued<T>(PhantomData<T>);
/// 202 with what was taken over and is done soon.
pub struct Taken<T>(PhantomData<T>);
/// 200 with a thing.
pub struct Found<T>(PhantomData<T>);
/// 200 with a thing and its version; 304 when the caller has that version.
pub struct Versioned<T>(PhantomData<T>);
/// 200 with a thing as a change left it, and its version.
pub struct Updated<T>(PhantomData<T>);
/// 204.
pub struct NoContent;

impl<S> Answer<S> {
    fn new(status: StatusCode, body: Bytes) -> Self {
        Self {
            status,
            headers: Vec::with_capacity(4),
            body,
            shape: PhantomData,
        }
    }

    fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self::new(status, body.into()).header(CONTENT_TYPE, JSON),
            // A defect, such as a map whose keys are no text; the edge gives it its problem document.
            Err(error) => {
                tracing::error!(%error, "an answer can't be written");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
            }
        }
    }

    /// Sets a header, in place of one of the same name; a value that no header can have is left out.
    #[must_use]
    pub fn header<V>(mut self, name: HeaderName, value: V) -> Self
    where
        HeaderValue: TryFrom<V>,
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds the entity tag of the version that is answered.
    #[must_use]
    pub fn etag(self, tag: &EntityTag) -> Self {
        let weak = if tag.weak { "W/" } else { "" };
        self.header(ETAG, [weak, "\"", tag.tag(), "\""].concat())
    }
}

impl<T: Serialize> Answer<Created<T>> {
    /// The new thing, which can be read at `location`. Its version is added by [`etag`](Self::etag).
    pub fn created(location: &str, body: &T) -> Self {
        Self::json(StatusCode::CREATED, body).header(LOCATION, location)
    }
}

impl<T: Serialize> Answer<Issued<T>> {
    /// What was issued.
    pub fn issued(body: &T) -> Self {
        Self::json(StatusCode::CREATED, body)
    }
}

impl<T: Serialize> Answer<Taken<T>> {
    /// What was taken over.
    pub fn taken(body: &T) -> Self {
        Self::json(StatusCode::ACCEPTED, body)
    }
}

impl<T: Serialize> Answer<Found<T>> {
    /// The thing, which is its caller's: nobody else's cache may keep it, and theirs asks each time.
    pub fn found(body: &T) -> Self {
        Self::json(StatusCode::OK, body).header(CACHE_CONTROL, PRIVATE)
    }
}

impl<T> Answer<Found<T>> {
    /// The thing, as JSON that was written before. No `Cache-Control` is set.
    pub fn found_bytes(body: Bytes) -> Self {
        Self::new(StatusCode::OK, body).header(CONTENT_TYPE, JSON)
    }
}

impl<T: Serialize> Answer<Updated<T>> {
    /// The thing as it is now, in its version.
    pub fn updated(tag: &EntityTag, body: &T) -> Self {
        Self::json(StatusCode::OK, body).etag(tag)
    }
}

impl<T> Answer<Versioned<T>> {
    /// The thing, as JSON that was written before, in its version.
    pub fn version(tag: &EntityTag, body: Bytes) -> Self {
        Self::new(StatusCode::OK, body)
            .header(CONTENT_TYPE, JSON)
            .header(CACHE_CONTROL, PRIVATE)
            .etag(tag)
    }

    /// The caller has this version.
    pub fn not_modified(tag: &EntityTag) -> Self {
        Self::new(StatusCode::NOT_MODIFIED, Bytes::new())
            .header(CACHE_CONTROL, PRIVATE)
            .etag(tag)
    }
}

impl Answer<NoContent> {
    /// Done, and nothing to say.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, Bytes::new())
    }
}

impl<S> Responder for Answer<S> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::new(self.status);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        if self.body.is_empty() {
            return response;
        }
        response.set_body(BoxBody::new(Slices::from(self.body)))
    }
}

impl<S> fmt::Debug for Answer<S> {
    /// Without the body, which may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

fn with_json(description: &str, schema: Ref) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
}

impl<T: ToSchema> Describe for Answer<Created<T>> {
    fn describe(operation: &mut OperationDoc) {
        let schema = operation.schema::<T>();
        let response = with_json("Created", schema)
            .header("Location", text_header("Where it can be read"))
            .header("ETag", text_header("Its version"));
        operation.answer(201, response);
    }
}

impl<T: ToSchema> Describe for Answer<Issued<T>> {
    fn describe(operation: &mut OperationDoc) {
        let schema = operation.schema::<T>();
        operation.answer(201, with_json("Issued", schema));
    }
}

impl<T: ToSchema> Describe for Answer<Taken<T>> {
    fn describe(operation: &mut OperationDoc) {
        let schema = operation.schema::<T>();
        operation.answer(202, with_json("Taken over", schema));
    }
}

impl<T: ToSchema> Describe for Answer<Found<T>> {
    fn describe(operation: &mut OperationDoc) {
        let schema = operation.schema::<T>();
        operation.answer(200, with_json("Found", schema));
    }
}

impl<T: ToSchema> Describe for Answer<Versioned<T>> {
    fn describe(operation: &mut OperationDoc) {
        let schema = operation.schema::<T>();
        let tag = || text_header("Version, for `If-None-Match`");
        let source =
            || text_header("Which layer of the cache answered, and for how long its value is fresh (RFC 9211)");
        let found = with_json("Found", schema)
            .header("ETag", tag())
            .header("Cache-Status", source());
        operation.answer(200, found);
        let known = ResponseBuilder::new().description("The version in `If-None-Match` is the newest");
        operation.answer(304, known.header("ETag", tag()).header("Cache-Status", source()));
    }
}

impl<T: ToSchema> Describe for Answer<Updated<T>> {
    fn describe(operation: &mut OperationDoc) {
        let schema = operation.schema::<T>();
        let response = with_json("As it is now", schema).header("ETag", text_header("Its version"));
        operation.answer(200, response);
    }
}

impl Describe for Answer<NoContent> {
    fn describe(operation: &mut OperationDoc) {
        operation.answer(204, ResponseBuilder::new().description("Done"));
    }
}
