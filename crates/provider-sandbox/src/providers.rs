//! The providers' own paths, and what each answers when all is well.

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, ContentType};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use uuid::Uuid;

use crate::answer::{Success, answer};
use crate::callbacks::{self, Message};
use crate::ranges::Prefix;
use crate::state::State;
use crate::target::{Asked, Provider};

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/2010-04-01/Accounts/{account}/Messages.json", web::post().to(sms))
        .route("/v1/projects/{project}/messages:send", web::post().to(push))
        .route("/services/{path:.+}", web::post().to(chat))
        .route("/hooks/{name}", web::to(hook))
        .route("/range/{prefix}", web::get().to(range));
}

/// Twilio's Messages form.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Form {
    to: Option<String>,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    body: Option<String>,
    status_callback: Option<String>,
}

async fn sms(state: web::Data<State>, request: HttpRequest, account: web::Path<String>, body: Bytes) -> HttpResponse {
    let success = match web::Query::<Form>::from_query(&String::from_utf8_lossy(&body)) {
        Ok(form) => queued(&account, &form, &request),
        Err(_) => refused(21620, "The form could not be read."),
    };
    answer(&state, Asked::sms(&account), &request, &body, success).await
}

/// The token that a request came with, under whatever account.
fn token(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = STANDARD.decode(credentials.trim()).ok()?;
    let (_, token) = std::str::from_utf8(&credentials).ok()?.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| token.to_owned())
}

/// What Twilio answers to a message that it takes, or to one that it would never take.
fn queued(account: &str, form: &Form, request: &HttpRequest) -> Success {
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
    let callback_url = form.status_callback.as_deref().filter(|url| !url.is_empty());
    if callback_url.is_some_and(|url| !callbacks::is_address(url)) {
        return refused(21609, "The 'StatusCallback' URL is not a valid URL.");
    }
    let sid = format!("SM{}", Uuid::now_v7().simple());
    let message = callback_url.map(|url| Message {
        callback_url: url.to_owned(),
        token: token(request),
        account: account.to_owned(),
        sid: sid.clone(),
        from: form.from.clone().unwrap_or_default(),
        to: to.to_owned(),
    });
    Success::json(StatusCode::CREATED, &created(account, form, &sid)).followed_by(message)
}

/// Twilio's description of a message that it has taken.
fn created(account: &str, form: &Form, sid: &str) -> Value {
    let now = now();
    json!({
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
        "to": form.to,
        "uri": format!("/2010-04-01/Accounts/{account}/Messages/{sid}.json"),
    })
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
    answer(&state, Provider::Push.into(), &request, &body, success).await
}

async fn chat(state: web::Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let success = Success::new(StatusCode::OK, ContentType::plaintext(), "ok".into());
    answer(&state, Provider::Chat.into(), &request, &body, success).await
}

async fn hook(state: web::Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let success = Success::json(StatusCode::OK, &json!({"received": true}));
    answer(&state, Provider::Hooks.into(), &request, &body, success).await
}

/// Breached passwords by range, as Pwned Passwords answers it.
async fn range(state: web::Data<State>, request: HttpRequest, prefix: web::Path<String>) -> HttpResponse {
    let wants_padding = request
        .headers()
        .get("Add-Padding")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let (status, text) = match Prefix::parse(&prefix) {
        Some(prefix) if wants_padding => (StatusCode::OK, prefix.padded_range()),
        Some(prefix) => (StatusCode::OK, prefix.range()),
        None => (
            StatusCode::BAD_REQUEST,
            "The hash prefix was not in a valid format".to_owned(),
        ),
    };
    let success = Success::new(status, ContentType::plaintext(), text.into());
    answer(&state, Provider::Breached.into(), &request, b"", success).await
}
