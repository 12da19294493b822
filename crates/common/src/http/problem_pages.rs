use actix_web::{HttpResponse, Resource, web};

use super::{Kind, Problem, kinds, only, readable};

/// `/problems/{slug}`: a page for each kind, the shared ones and the service's `own`.
pub fn problem_pages(own: &'static [&'static Kind]) -> Resource {
    let page = move |slug: web::Path<String>| {
        let kind = own.iter().chain(kinds::ALL).find(|kind| kind.slug == slug.as_str());
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
    web::resource("/problems/{slug}")
        .route(readable().to(page))
        .default_service(only("GET, HEAD"))
}
