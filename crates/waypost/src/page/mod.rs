//! The development page: the mails of the mail folder, and the traces of this process.
//!
//! Served under a development profile only, on an address of its own. `/mails.json` and
//! `/traces/{id}.json` are what `waypost demo` reads.

mod mails;
mod traces;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::web::{Data, get};
use actix_web::{App, HttpServer};
use common::http::own_server;
use common::process::{Tasks, listen};
use common::telemetry::SpanBuffer;

pub use mails::Mail;
pub use traces::tree;

struct Shown {
    mails: Option<PathBuf>,
    spans: Option<Arc<SpanBuffer>>,
}

/// Serves the page until the tasks stop; answers with the bound address.
///
/// # Errors
/// An [`io::Error`] that names the address when it can't be taken.
pub fn serve(
    address: &str,
    mails: Option<PathBuf>,
    spans: Option<Arc<SpanBuffer>>,
    tasks: &Tasks,
) -> io::Result<SocketAddr> {
    let listener = listen(tasks.service(), "mail", address).map_err(|error| {
        io::Error::new(
            error.kind(),
            error
                .to_string()
                .replace("WAYPOST__WAYPOST__MAIL__ADDRESS", "WAYPOST__MAIL__PAGE_ADDRESS"),
        )
    })?;
    let bound = listener.local_addr()?;
    let shown = Data::new(Shown { mails, spans });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shown.clone())
            .route("/", get().to(mails::list))
            .route("/mails.json", get().to(mails::list_json))
            .route("/mails/{name}", get().to(mails::show))
            .route("/traces/{id}.json", get().to(traces::show_json))
            .route("/traces/{id}", get().to(traces::show))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)?
    .run();
    own_server("development page", server, tasks);
    Ok(bound)
}

/// A page around `body`, which is HTML already.
fn html(title: &str, body: &str) -> actix_web::HttpResponse {
    actix_web::HttpResponse::Ok().content_type("text/html; charset=utf-8").body(format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}}\
         iframe{{width:100%;height:24rem;border:1px solid #ddd}}pre{{overflow-x:auto}}</style>\
         <h1>{title}</h1>{body}"
    ))
}

/// Text made harmless for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
