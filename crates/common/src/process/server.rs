//! Ties an HTTP server to the life of its process.
//!
//! Both the operations port and the public surfaces run this way, so it stands below either.

use std::time::Duration;

use actix_web::dev::Server;
use connections::{Listener, PerAddress};

use super::Tasks;
use crate::config::Http;

/// How long a connection may rest between two requests.
///
/// Longer than the 60 s of usual proxies and clients: whoever keeps a connection longer than its server
/// does will one day send a request on one that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A client must have sent the head of its first request by then.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle streams are cheap (22 kB each); the default of 25,000 would be the first limit.
const CONNECTIONS_PER_WORKER: usize = 50_000;

/// How each port treats its connections. `refused` is called for each connection that is closed at once because its
/// address has as many as it may.
pub fn bounded(
    port: &'static str,
    settings: &Http,
    shutdown_timeout: Duration,
    refused: impl Fn() + Send + Sync + 'static,
) -> Listener {
    let proxies = settings.trusted_proxies.clone();
    let is_proxy = move |address| proxies.contains(address);
    Listener {
        name: port,
        workers: None,
        connections_per_worker: CONNECTIONS_PER_WORKER,
        per_address: PerAddress::new(settings.connections_per_address, is_proxy, refused),
        head_timeout: HEADERS_TIMEOUT,
        keep_alive: KEEP_ALIVE,
        shutdown_timeout,
        on_connect: |_, _| {},
    }
}

/// Gives a server to the tasks of its service: it stops, gracefully, when they do.
///
/// The server must have been made by [`bounded`], with a `shutdown_timeout` below the drain time.
/// A server that ends by itself ends the service.
pub fn own_server(name: &'static str, server: Server, tasks: &Tasks) {
    let stopping = tasks.stopping().clone();
    tasks.spawn(name, async move {
        let handle = server.handle();
        tokio::pin!(server);
        tokio::select! {
            ended = &mut server => {
                tracing::error!(server = name, error = ?ended.err(), "the HTTP server ended by itself");
                stopping.cancel();
            }
            () = stopping.cancelled() => {
                let ((), ended) = tokio::join!(handle.stop(true), server);
                if let Err(error) = ended {
                    tracing::warn!(server = name, %error, "the HTTP server did not end cleanly");
                }
            }
        }
    });
}
