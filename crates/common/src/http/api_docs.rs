use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::Config;

use super::{Problem, kinds, only, readable};

/// What the page reads.
const DOCUMENT: &str = "/openapi.json";

/// `/openapi.json`, and `/docs` to browse it: all is compiled in, and the page asks nothing of anybody else.
///
/// Adds to the description what every service has: bearer tokens under the name `bearer`, and where people
/// reach the service, unless `public_url` is empty.
pub fn api_docs(app: &mut ServiceConfig, mut description: OpenApi, public_url: &str) {
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(token.build()));
    if !public_url.is_empty() {
        description.servers = Some(vec![Server::new(public_url)]);
    }
    // The page would have a validator on the internet judge the description.
    let config = web::Data::new(Arc::new(Config::from(DOCUMENT).validator_url("none")));
    let pages = |path: &'static str| {
        web::resource(path)
            .app_data(config.clone())
            .route(readable().to(page))
            .default_service(only("GET, HEAD"))
    };
    app.service(
        web::resource(DOCUMENT)
            .route(readable().to(move || std::future::ready(HttpResponse::Ok().json(&description))))
            .default_service(only("GET, HEAD")),
    )
    .service(pages("/docs"))
    .service(pages("/docs/{file:.*}"));
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
