//! Serves the development page, for as long as its process lives.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::App;
use actix_web::middleware::from_fn;
use actix_web::web::{Data, get};
use common::process::{Tasks, bounded, listen, own_names, own_server};
use common::telemetry::SpanBuffer;
use connections::Listener;

use super::html::Html;
use super::shown::Shown;
use super::{mails, traces};
use crate::settings::Settings;

/// What requests in hand get at shutdown.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Serves the page until the tasks stop; gives back the bound address. It shows the mails where they go into a folder, and
/// `spans` where there are some. It answers requests for the machine's own names and those of `mail.page_hosts` alone.
///
/// # Errors
/// An [`io::Error`] that names the address when it can't be taken.
pub fn serve(settings: &Settings, spans: Option<Arc<SpanBuffer>>, tasks: &Tasks) -> io::Result<SocketAddr> {
    let page = &settings.own.mail;
    let mails = page.url.folder().map(Into::into);
    let listener = listen(tasks.service(), "mail", &page.page_address).map_err(|error| {
        io::Error::new(
            error.kind(),
            error
                .to_string()
                .replace("WAYPOST__WAYPOST__MAIL__ADDRESS", "WAYPOST__MAIL__PAGE_ADDRESS"),
        )
    })?;
    let bound = listener.local_addr()?;
    let html = Html::new().map_err(io::Error::other)?;
    let (shown, hosts) = (
        Data::new(Shown { mails, spans, html }),
        Data::new(page.page_hosts.clone()),
    );
    let connections = Listener {
        workers: Some(1),
        ..bounded("development page", &settings.http, SHUTDOWN, || {})
    };
    let server = connections.serve(listener, move || {
        App::new()
            .app_data(shown.clone())
            .app_data(hosts.clone())
            .route("/", get().to(mails::list))
            .route("/mails.json", get().to(mails::list_json))
            .route("/mails/{name}", get().to(mails::show))
            .route("/traces/{id}.json", get().to(traces::show_json))
            .route("/traces/{id}", get().to(traces::show))
            .wrap(from_fn(own_names))
    })?;
    own_server("development page", server, tasks);
    Ok(bound)
}
