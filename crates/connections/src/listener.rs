//! A server of one app over connections that are guarded.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::{Extensions, HttpService, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use actix_web::error::DispatchError;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::answering::Told;
use crate::guarded::{Guarded, PATIENCE};
use crate::per_address::PerAddress;

/// Bytes that wait to be sent on a connection before no more are made for it; one piece of an answer may come on top.
const WRITE_BUFFER: usize = 8 * 1024;

/// Bytes that the kernel takes of what a peer does not read; by itself it takes up to some megabytes for each.
const KERNEL_BUFFER: usize = 128 * 1024;

/// After an answer that came before the end of its request: so long the rest is read, or the peer would see a reset in place
/// of the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How a server treats its connections. The fields that are not given have actix-web's defaults.
#[derive(Debug, Clone)]
pub struct Listener {
    /// What its threads are called in logs.
    pub name: &'static str,
    /// Threads that serve it; `None`: as many as there are cores.
    pub workers: Option<usize>,
    /// Connections of each thread; more wait to be accepted.
    pub connections_per_worker: usize,
    /// Connections of each address.
    pub per_address: PerAddress,
    /// The head of the first request has come by then.
    pub head_timeout: Duration,
    /// How long a connection rests between two requests.
    pub keep_alive: Duration,
    /// What requests in hand get at the end, in whole seconds.
    pub shutdown_timeout: Duration,
    /// What a connection's requests may ask it for (`HttpRequest::conn_data`).
    pub on_connect: fn(&Guarded, &mut Extensions),
}

impl Listener {
    /// Serves the apps of `factory`, one a thread, on `socket` until it is told to stop. Signals are its caller's business.
    ///
    /// # Errors
    /// An [`io::Error`] when the socket can't be listened on.
    pub fn serve<F, I, S, B>(self, socket: TcpListener, factory: F) -> io::Result<Server>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Error> + 'static,
        S::InitError: fmt::Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        // Inherited by what is accepted. A connection that we have closed already is given up by the kernel, too, when its
        // peer takes nothing of what was left to send.
        #[cfg(target_os = "linux")]
        SockRef::from(&socket).set_tcp_user_timeout(Some(PATIENCE))?;
        SockRef::from(&socket).set_send_buffer_size(KERNEL_BUFFER)?;
        socket.set_nonblocking(true)?;
        let mut builder = Server::build()
            .max_concurrent_connections(self.connections_per_worker)
            .shutdown_timeout(self.shutdown_timeout.as_secs())
            .disable_signals();
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        let stopping = builder.graceful_shutdown_signal();
        let name = self.name;
        let builder = builder.listen(name, socket, move || {
            let stopping = stopping.clone();
            let counts = self.per_address.clone();
            let guard = fn_service(move |socket: TcpStream| std::future::ready(guarded(socket, &counts)));
            let app = factory().into_factory().map_err(|error| error.into().error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(self.keep_alive)
                .client_request_timeout(self.head_timeout)
                .h1_write_buffer_size(WRITE_BUFFER)
                .client_disconnect_timeout(LINGER)
                .on_connect_ext(move |connection: &Guarded, data| {
                    data.insert(connection.state().clone());
                    (self.on_connect)(connection, data);
                })
                .h1(Told::new(map_config(app, |()| AppConfig::default())));
            guard.and_then(http)
        })?;
        Ok(builder.run())
    }
}

/// The connection with its peer's address, unless that has as many as it may.
fn guarded(socket: TcpStream, counts: &PerAddress) -> Result<(Guarded, Option<std::net::SocketAddr>), DispatchError> {
    let peer = socket.peer_addr().map_err(DispatchError::Io)?;
    let Some(counted) = counts.enter(peer.ip()) else {
        return Err(DispatchError::DisconnectTimeout);
    };
    Ok((Guarded::new(socket, Some(counted)), Some(peer)))
}
