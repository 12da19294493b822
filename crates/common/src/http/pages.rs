//! What every API serves beside its operations: its description, a page to browse it, a page for each problem.
//!
//! All is compiled in, and the pages ask nothing of anybody else.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use actix_web::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use connections::Slices;
use parking_lot::RwLock;
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::Config;

use super::endpoint::{only, public, readable};
use super::{Kind, Problem, kinds};

const DOCUMENT: &str = "/openapi.json";
/// The same as a link from the page, because a proxy may put a path before ours that we do not know.
const DOCUMENT_FROM_PAGE: &str = "../openapi.json";
/// The page runs what comes with it, asks this service alone, and stands in nobody's frame. It sets styles of its own.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; \
                      form-action 'none'; frame-ancestors 'none'";

/// What `/openapi.json` and `/docs` answer with, made once and shared by all who ask.
pub(super) struct Assets {
    document: Bytes,
    config: Arc<Config<'static>>,
    /// By name, and where its links begin.
    files: RwLock<HashMap<(String, &'static str), File>>,
}

/// Its type and what stands in it.
type File = (String, Bytes);

impl Assets {
    /// The assets of this description, which names `public_url` as the server unless that is empty.
    pub(super) fn new(mut description: OpenApi, public_url: &str) -> serde_json::Result<Self> {
        if !public_url.is_empty() {
            description.servers = Some(vec![Server::new(public_url.trim_end_matches('/'))]);
        }
        Ok(Self {
            document: serde_json::to_vec(&description)?.into(),
            // Otherwise the page would have a validator on the internet judge the description.
            config: Arc::new(Config::from(DOCUMENT_FROM_PAGE).validator_url("none")),
            files: RwLock::default(),
        })
    }

    /// A file of the page; `None` when there is none of this name. Links begin at `base`.
    fn file(&self, name: &str, base: &'static str) -> Result<Option<File>, Box<dyn Error>> {
        let key = (name.to_owned(), base);
        if let Some(known) = self.files.read().get(&key) {
            return Ok(Some(known.clone()));
        }
        let Some(found) = utoipa_swagger_ui::serve(name, Arc::clone(&self.config))? else {
            return Ok(None);
        };
        let mut body = found.bytes.into_owned();
        if found.content_type.starts_with("text/html") {
            body = String::from_utf8_lossy(&body)
                .replace("<head>", &format!("<head><base href=\"{base}\">"))
                .into_bytes();
        }
        let file = (found.content_type, Bytes::from(body));
        let mut files = self.files.write();
        Ok(Some(files.entry(key).or_insert(file).clone()))
    }
}

/// `/openapi.json`, and `/docs` to browse it.
pub(super) fn api_docs(app: &mut ServiceConfig, assets: &Arc<Assets>) {
    let assets = web::Data::from(Arc::clone(assets));
    let pages = |path: &'static str| {
        web::resource(path)
            .app_data(assets.clone())
            .route(public(readable().to(page)))
            .default_service(only("GET, HEAD"))
    };
    app.service(
        web::resource(DOCUMENT)
            .app_data(assets.clone())
            .route(public(readable().to(document)))
            .default_service(only("GET, HEAD")),
    )
    .service(pages("/docs"))
    .service(pages("/docs/{file:.*}"));
}

async fn document(assets: web::Data<Assets>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(Slices::from(assets.document.clone()))
}

async fn page(request: HttpRequest, assets: web::Data<Assets>) -> Result<HttpResponse, Problem> {
    let file = request.match_info().get("file").unwrap_or_default();
    // The page's links are relative, and `/docs` has no slash at its end.
    let base = if request.path().ends_with("/docs") {
        "docs/"
    } else {
        "./"
    };
    match assets.file(file, base) {
        Ok(Some((content_type, body))) => Ok(HttpResponse::Ok()
            .content_type(content_type)
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .body(Slices::from(body))),
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
