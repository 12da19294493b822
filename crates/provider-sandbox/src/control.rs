//! The sandbox's own paths: switch faults on and off, read and empty the log. No fault touches them.

use std::time::Instant;

use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use crate::faults::{Fault, TooMany};
use crate::state::State;
use crate::target::Target;

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::resource("/sandbox/faults/{provider}")
            .route(web::put().to(set_fault))
            .route(web::delete().to(clear_fault)),
    )
    .service(
        web::resource("/sandbox/requests")
            .route(web::get().to(list))
            .route(web::delete().to(clear)),
    );
}

#[derive(Deserialize)]
struct Filter {
    provider: Option<String>,
}

impl Filter {
    fn target(&self) -> Result<Option<Target>, UnknownProvider> {
        self.provider.as_deref().map(parse).transpose()
    }
}

/// A name that is none of the providers'.
#[derive(Debug)]
struct UnknownProvider;

impl std::fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the providers are sms (sms.<account>: one account), push, chat, hooks and breached")
    }
}

impl ResponseError for UnknownProvider {
    fn error_response(&self) -> HttpResponse {
        complaint(StatusCode::NOT_FOUND, &self.to_string())
    }
}

type Answer = Result<HttpResponse, UnknownProvider>;

async fn set_fault(state: web::Data<State>, name: web::Path<String>, fault: web::Json<Fault>) -> Answer {
    let target = parse(&name)?;
    if let Some(problem) = fault.problem() {
        return Ok(complaint(StatusCode::UNPROCESSABLE_ENTITY, problem));
    }
    match state.faults.set(target, fault.0.clone(), Instant::now()) {
        Ok(()) => Ok(HttpResponse::Ok().json(fault.0)),
        Err(TooMany) => Ok(complaint(
            StatusCode::CONFLICT,
            "too many faults are on; switch off those of accounts that nobody uses",
        )),
    }
}

async fn clear_fault(state: web::Data<State>, name: web::Path<String>) -> Answer {
    state.faults.clear(&parse(&name)?);
    Ok(HttpResponse::NoContent().finish())
}

async fn list(state: web::Data<State>, filter: web::Query<Filter>) -> Answer {
    let items = state.requests.list(filter.target()?.as_ref());
    // Each item becomes text when it is sent, so that a slow reader does not keep all of them in memory.
    let texts = items.into_iter().enumerate().map(|(number, item)| {
        let comma = if number == 0 { "" } else { "," };
        serde_json::to_string(&*item).map(|text| Bytes::from([comma, &text].concat()))
    });
    let all = std::iter::once(Ok(Bytes::from_static(b"{\"items\":[")))
        .chain(texts)
        .chain(std::iter::once(Ok(Bytes::from_static(b"]}"))));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .streaming(stream::iter(all)))
}

async fn clear(state: web::Data<State>, filter: web::Query<Filter>) -> Answer {
    state.requests.clear(filter.target()?.as_ref());
    Ok(HttpResponse::NoContent().finish())
}

/// Answers 422 to a body that is no fault.
pub(crate) fn refuse(error: actix_web::error::JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let response = complaint(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string());
    InternalError::from_response(error, response).into()
}

fn parse(name: &str) -> Result<Target, UnknownProvider> {
    name.parse().map_err(|()| UnknownProvider)
}

fn complaint(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({"status": status.as_u16(), "message": message}))
}
