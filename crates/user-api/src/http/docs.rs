//! The description of the API at `/openapi.json`, and a page to browse it at `/docs`.

use actix_web::{
    HttpResponse,
    http::header::LOCATION,
    web::{self, ServiceConfig},
};
use common::http::ProblemDocument;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{accounts, sessions};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Waypost user-api",
        description = "Accounts and sessions. Every error is a problem document (RFC 9457) whose `type` is a page that explains it.",
    ),
    paths(
        accounts::register::register,
        accounts::read::read,
        accounts::read::read_me,
        sessions::create::create,
        sessions::jwks::jwks,
    ),
    components(schemas(ProblemDocument<'_>)),
    modifiers(&BearerToken),
)]
struct ApiDescription;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(token.build()));
    }
}

pub(super) fn configure(app: &mut ServiceConfig) {
    // The page would ask a validator on the internet about the description.
    let config = Config::new(["/openapi.json"]).validator_url("none");
    app.route("/docs", web::get().to(to_the_page)).service(
        SwaggerUi::new("/docs/{_:.*}")
            .config(config)
            .url("/openapi.json", ApiDescription::openapi()),
    );
}

/// The page's own files are found from `/docs/` only.
async fn to_the_page() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}
