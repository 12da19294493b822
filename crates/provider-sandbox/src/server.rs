//! The server: takes the port, routes to the providers and to the controls, stops when told.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, web};
use connections::{Listener, PerAddress};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::callbacks::Callbacks;
use crate::faults::Faults;
use crate::requests::Requests;
use crate::state::State;
use crate::{answer, control, providers, ranges};

/// Largest body that is taken, and recorded.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Requests that are being answered at the stop have so long.
const SHUTDOWN: Duration = Duration::from_secs(2);
/// Most connections of one address, and of all together.
const CONNECTIONS_PER_ADDRESS: usize = 1000;
const CONNECTIONS: usize = 25_000;

/// What the sandbox needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any.
    pub address: String,
}

/// A running sandbox. It stops when the token that it was given is cancelled.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Waits until it has stopped.
    ///
    /// # Errors
    /// An [`io::Error`] when the server broke off.
    pub async fn finished(self) -> io::Result<()> {
        self.server.await.map_err(io::Error::other)?
    }
}

/// Starts the sandbox inside the running tokio runtime. It listens when this returns, and runs until `stop` is cancelled.
///
/// # Errors
/// An [`io::Error`] when the port can't be taken, which names the setting, or when the client for callbacks can't be made.
pub fn start(config: Config, stop: CancellationToken) -> io::Result<Running> {
    ranges::prepare();
    let state = web::Data::from(Arc::new(State {
        faults: Faults::default(),
        requests: Requests::default(),
        callbacks: Callbacks::new(stop.clone())?,
        stopping: stop.clone(),
    }));
    let listener = TcpListener::bind(&config.address).map_err(|error| {
        let address = config.address;
        let message = format!(
            "provider-sandbox can't listen on {address}: {error}; \
             set WAYPOST__PROVIDER_SANDBOX__HTTP__ADDRESS to another address"
        );
        io::Error::new(error.kind(), message)
    })?;
    let address = listener.local_addr()?;
    let connections = Listener {
        name: "provider-sandbox",
        workers: Some(1),
        connections_per_worker: CONNECTIONS,
        per_address: PerAddress::new(CONNECTIONS_PER_ADDRESS, |_| false, || {}),
        head_timeout: Duration::from_secs(10),
        keep_alive: Duration::from_secs(5),
        shutdown_timeout: SHUTDOWN,
        on_connect: answer::remember_wire,
    };
    let shared = state.clone();
    let server = connections.serve(listener, move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
            .app_data(web::JsonConfig::default().error_handler(control::refuse))
            .configure(control::routes)
            .configure(providers::routes)
            .default_service(web::to(|| async {
                HttpResponse::NotFound().json(json!({"status": 404, "message": "the sandbox has no such path"}))
            }))
    })?;
    let handle = server.handle();
    #[expect(
        clippy::disallowed_methods,
        reason = "the caller awaits it; there are no Tasks without common"
    )]
    let server = tokio::spawn(async move {
        tokio::pin!(server);
        let ended = tokio::select! {
            ended = &mut server => ended,
            () = stop.cancelled() => tokio::join!(handle.stop(true), server).1,
        };
        shared.callbacks.finished().await;
        ended
    });
    Ok(Running { address, server })
}
