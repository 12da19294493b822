//! The providers' own paths, and what each answers when all is well.

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use uuid::Uuid;

use crate::answer::{Success, answer};
use crate::faults::Provider;
use crate::state::State;

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/2010-04-01/Accounts/{account}/Messages.json", web::post().to(sms))
        .route("/v1/projects/{project}/messages:send", web::post().to(push))
        .route("/services/{path:.+}", web::post().to(chat))
        .route("/hooks/{name}", web::to(hook));
}

/// Twilio's Messages form.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    to: Option<String>,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    body: Option<String>,
}

async fn sms(state: web::Data<State>, request: HttpRequest, account: web::Path<String>, body: Bytes) -> HttpResponse {
    let success = match web::Query::<Message>::from_query(&String::from_utf8_lossy(&body)) {
        Ok(form) => queued(&account, &form),
        Err(_) => refused(21620, "The form could not be read."),
    };
    answer(&state, Provider::Sms, &request, &body, success).await
}

/// What Twilio answers to a message that it takes, or to one that it would never take.
fn queued(account: &str, form: &Message) -> Success {
    let given = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
    if !given(&form.to) {
        return refused(21604, "A 'To' phone number is required.");
    }
    if !given(&form.from) && !given(&form.messaging_service_sid) {
        return refused(21603, "A 'From' phone number is required.");
    }
    if !given(&form.body) {
        return refused(21602, "Message body is required.");
    }
    let to = form.to.as_deref().unwrap_or_default();
    if !is_e164(to) {
        return refused(21211, "Invalid 'To' phone number.");
    }
    let sid = format!("SM{}", Uuid::now_v7().simple());
    let now = now();
    let json = json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": form.body,
        "date_created": now,
        "date_sent": null,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "from": form.from,
        "messaging_service_sid": form.messaging_service_sid,
        "num_media": "0",
        "num_segments": "1",
        "price": null,
        "price_unit": null,
        "sid": sid,
        "status": "queued",
        "to": to,
        "uri": format!("/2010-04-01/Accounts/{account}/Messages/{sid}.json"),
    });
    Success::json(StatusCode::CREATED, &json)
}

fn refused(code: u32, message: &str) -> Success {
    let json = json!({"code": code, "message": message, "status": 400});
    Success::json(StatusCode::BAD_REQUEST, &json)
}

fn is_e164(number: &str) -> bool {
    number
        .strip_prefix('+')
        .is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox is an edge; nothing is decided by this time"
)]
fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc2822).unwrap_or_default()
}

async fn push(state: web::Data<State>, request: HttpRequest, project: web::Path<String>, body: Bytes) -> HttpResponse {
    let name = format!("projects/{project}/messages/{}", Uuid::now_v7());
    let success = Success::json(StatusCode::OK, &json!({"name": name}));
    answer(&state, Provider::Push, &request, &body, success).await
}

async fn chat(state: web::Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let success = Success::new(StatusCode::OK, ContentType::plaintext(), "ok".into());
    answer(&state, Provider::Chat, &request, &body, success).await
}

async fn hook(state: web::Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let success = Success::json(StatusCode::OK, &json!({"received": true}));
    answer(&state, Provider::Hooks, &request, &body, success).await
}
