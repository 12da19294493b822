//! Ties an HTTP server to the life of its process.
//!
//! Both the operations port and the public surfaces run this way, so it stands below either.

use std::time::Duration;

use actix_web::dev::Server;

use super::Tasks;

/// How long a connection may rest between two requests.
///
/// Longer than the 60 s of usual proxies and clients: whoever keeps a connection longer than its server
/// does will one day send a request on one that is just being closed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Gives a server to the tasks of its service: it stops, gracefully, when they do.
///
/// The server must have been built with `disable_signals()` and a `shutdown_timeout` below the drain time.
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
