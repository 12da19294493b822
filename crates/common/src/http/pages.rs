//! What every API serves beside its operations: its description, a page to browse it, a page for each problem.
//!
//! All is compiled in, and the pages ask nothing of anybody else.

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::Config;

use super::endpoint::{only, public, readable};
use super::{Kind, Problem, kinds};

const DOCUMENT: &str = "/openapi.json";
/// The same from the page, which may stand behind a path that we do not know.
const DOCUMENT_FROM_PAGE: &str = "../openapi.json";

/// `/openapi.json`, and `/docs` to browse it.
///
/// Adds to the description where people reach the service, unless `public_url` is empty.
pub(super) fn api_docs(app: &mut ServiceConfig, mut description: OpenApi, public_url: &str) {
    if !public_url.is_empty() {
        description.servers = Some(vec![Server::new(public_url.trim_end_matches('/'))]);
    }
    // The page would have a validator on the internet judge the description.
    let config = web::Data::new(Arc::new(Config::from(DOCUMENT_FROM_PAGE).validator_url("none")));
    let pages = |path: &'static str| {
        web::resource(path)
            .app_data(config.clone())
            .route(public(readable().to(page)))
            .default_service(only("GET, HEAD"))
    };
    app.service(
        web::resource(DOCUMENT)
            .route(public(
                readable().to(move || std::future::ready(HttpResponse::Ok().json(&description))),
            ))
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
                let base = if request.path().ends_with("/docs") {
                    "docs/"
                } else {
                    "./"
                };
                body = String::from_utf8_lossy(&body)
                    .replace("<head>", &format!("<head><base href=\"{base}\">"))
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

/// `/problems/{slug}`: a page for each kind.
pub(super) fn problem_pages(app: &mut ServiceConfig, kinds: Vec<&'static Kind>) {
    let page = move |slug: web::Path<String>| {
        let kind = kinds.iter().find(|kind| kind.slug == slug.as_str());
        std::future::ready(match kind {
            Some(kind) => Ok(HttpResponse::Ok()
                .content_type("text/plain; charset=utf-8")
                .body(format!(
                    "{}\n\nHTTP status {}, /problems/{}\n\n{}\n",
                    kind.title, kind.status, kind.slug, kind.help
                ))),
            None => Err(Problem::new(&kinds::NOT_FOUND)),
        })
    };
    app.service(
        web::resource("/problems/{slug}")
            .route(public(readable().to(page)))
            .default_service(only("GET, HEAD")),
    );
}
