//! Server-sent events: what a client comes back with, and how a stream is answered (HTML standard 9.2).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Version};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use actix_web_lab::sse;
use common::http::{Describe, OperationDoc};
use futures_util::Stream;
use serde::Deserialize;
use utoipa::PartialSchema;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Required, ResponseBuilder};

use super::view::NotificationView;

/// Pause between signs of life on a silent stream. Without them a proxy would cut it, and a client that is gone stay unseen.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client comes back.
const RECONNECT: Duration = Duration::from_secs(3);

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The number of the last notification that the client has.
///
/// A browser's `EventSource` sends it in a header when it comes back; one that was made anew, for a new token,
/// can only say it in the address. What is no number counts as absent.
#[derive(Debug)]
pub(crate) struct Resume(pub(super) Option<i64>);

impl FromRequest for Resume {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        #[derive(Deserialize)]
        struct Query {
            last_event_id: i64,
        }
        let header = request.headers().get("last-event-id");
        let from_header = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let last = from_header.or_else(|| {
            let query = serde_urlencoded::from_str::<Query>(request.query_string());
            query.ok().map(|query| query.last_event_id)
        });
        ready(Ok(Self(last)))
    }
}

impl Describe for Resume {
    fn describe(operation: &mut OperationDoc) {
        for (name, place, description) in [
            (
                "Last-Event-ID",
                ParameterIn::Header,
                "`seq` of the last notification that was received",
            ),
            (
                "last_event_id",
                ParameterIn::Query,
                "The same, for an `EventSource` that was made anew",
            ),
        ] {
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(place)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(String::schema()));
            operation.parameter(parameter);
        }
    }
}

/// A stream of notifications, each once it is there.
pub(crate) struct EventStream<S>(pub(super) S);

impl<S: Stream<Item = sse::Event> + 'static> Responder for EventStream<S> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = sse::Sse::from_infallible_stream(self.0)
            .with_keep_alive(KEEP_ALIVE)
            .with_retry_duration(RECONNECT)
            .respond_to(request)
            .map_into_boxed_body();
        let headers = response.headers_mut();
        // `identity` is reserved for `Accept-Encoding` (RFC 9110, 8.4.1).
        headers.remove(CONTENT_ENCODING);
        // nginx holds an answer back until its buffer is full, unless it is told not to.
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        if request.version() < Version::HTTP_11 {
            // Chunks came with HTTP/1.1. For an older client the stream ends with the connection.
            let head = response.head_mut();
            head.no_chunking(true);
            head.set_connection_type(ConnectionType::Close);
        }
        response
    }
}

impl<S> Describe for EventStream<S> {
    fn describe(operation: &mut OperationDoc) {
        operation.schema::<NotificationView>();
        let content = ContentBuilder::new().schema(Some(event())).build();
        let response = ResponseBuilder::new()
            .description("`event: notification`, `id:` its `seq`, `data:` the notification")
            .content("text/event-stream", content);
        operation.answer(200, response);
    }
}

/// One event, field by field: its data is a notification (schema `Notification`), written as JSON.
fn event() -> Object {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("event", text().enum_values(Some(["notification"])))
        .property("id", text().pattern(Some("^[1-9][0-9]*$")))
        .property("data", text().content_media_type("application/json"))
        .required("event")
        .required("id")
        .required("data")
        .build()
}
