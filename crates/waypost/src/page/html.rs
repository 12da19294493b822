//! The frame of every page, and text made harmless for it.

use actix_web::HttpResponse;

/// A page around `body`, which is HTML already.
pub(super) fn html(title: &str, body: &str) -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}}\
         iframe{{width:100%;height:24rem;border:1px solid #ddd}}pre{{overflow-x:auto}}</style>\
         <h1>{title}</h1>{body}"
    ))
}

/// Text made harmless for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
