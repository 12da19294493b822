//! The routes, and what every operation answers with when it can't.

mod docs;
mod failures;

use actix_web::web::{self, ServiceConfig};
use common::http::{Kind, api_docs, not_found, only, problem_pages, readable};
use utoipa::OpenApi;

pub(crate) use self::failures::Failure;
use crate::{accounts, sessions};

/// The problems that this service has beside the shared ones.
pub(crate) mod kinds {
    use super::Kind;

    pub(crate) static EMAIL_TAKEN: Kind = Kind {
        slug: "email-taken",
        status: 409,
        title: "The email address is taken",
        help: "An account with this address exists. Log in, or use another address.",
    };
    pub(crate) static BAD_CREDENTIALS: Kind = Kind {
        slug: "bad-credentials",
        status: 401,
        title: "The email address or the password is wrong",
        help: "Check both. Which of them is wrong is not said.",
    };
    pub(super) static OWN: &[&Kind] = &[&EMAIL_TAKEN, &BAD_CREDENTIALS];
}

/// Every route of the API.
pub(crate) fn configure(app: &mut ServiceConfig, public_url: &str) {
    app.service(
        web::resource("/v1/users")
            .route(web::post().to(accounts::register))
            .default_service(only("POST")),
    )
    // Before `{id}`, which would take it for an id.
    .service(
        web::resource("/v1/users/me")
            .route(readable().to(accounts::read_me))
            .default_service(only("GET, HEAD")),
    )
    .service(
        web::resource("/v1/users/{id}")
            .route(readable().to(accounts::read))
            .default_service(only("GET, HEAD")),
    )
    .service(
        web::resource("/v1/sessions")
            .route(web::post().to(sessions::create))
            .default_service(only("POST")),
    )
    .service(
        web::resource("/.well-known/jwks.json")
            .route(readable().to(sessions::jwks))
            .default_service(only("GET, HEAD")),
    )
    .service(problem_pages(kinds::OWN))
    .configure(|app| api_docs(app, docs::ApiDescription::openapi(), public_url))
    .default_service(not_found());
}
