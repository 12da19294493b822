//! `/openapi.json`, and `/docs` to browse it: everything is compiled in, no script comes from elsewhere.

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use common::http::{Problem, ProblemDocument, kinds, only};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::Config;

use super::{change_state, list, list_deliveries, read_all, show, stream, unread_count};

/// What the page reads.
const DOCUMENT: &str = "/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(title = "Waypost notification gateway", description = "A person's notifications: listed, counted, live."),
    paths(
        list::handle, show::handle, change_state::handle, unread_count::handle, read_all::handle,
        list_deliveries::handle, stream::handle,
    ),
    components(schemas(ProblemDocument)),
    tags((name = "notifications", description = "The person's own notifications, by their access token.")),
    modifiers(&Bearer),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The description of this service's HTTP surface, from its code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(super) fn routes(config: &mut ServiceConfig) {
    let document = openapi();
    let ui = web::Data::new(Arc::new(Config::from(DOCUMENT)));
    config
        .service(
            web::resource(DOCUMENT)
                .route(web::get().to(move || std::future::ready(HttpResponse::Ok().json(&document))))
                .default_service(only("GET")),
        )
        .service(
            web::resource("/docs")
                .app_data(ui.clone())
                .route(web::get().to(page))
                .default_service(only("GET")),
        )
        .service(
            web::resource("/docs/{file:.*}")
                .app_data(ui)
                .route(web::get().to(page))
                .default_service(only("GET")),
        );
}

async fn page(request: HttpRequest, config: web::Data<Arc<Config<'static>>>) -> Result<HttpResponse, Problem> {
    let file = request.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(file, Arc::clone(&config)) {
        Ok(Some(found)) => {
            let mut body = found.bytes.into_owned();
            if found.content_type.starts_with("text/html") {
                // The page's links are relative, and `/docs` has no slash at its end.
                body = String::from_utf8_lossy(&body)
                    .replace("<head>", "<head><base href=\"/docs/\">")
                    .into_bytes();
            }
            Ok(HttpResponse::Ok().content_type(found.content_type).body(body))
        }
        Ok(None) => Err(Problem::new(&kinds::NOT_FOUND)),
        Err(error) => {
            tracing::error!(error, "the page for the API can't be made");
            Err(Problem::new(&kinds::INTERNAL))
        }
    }
}
