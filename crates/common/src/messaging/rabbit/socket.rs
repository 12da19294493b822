//! The socket below a connection.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, runtime};
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::lookup_host;

/// TCP keepalive: after [`IDLE`] without traffic it asks the peer's system whether it is there, then after each [`AGAIN`];
/// [`TIMES`] questions without an answer end the connection.
const IDLE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(2);
const TIMES: u32 = 3;
/// The connection ends when the peer's system has not received what was written for so long; on Linux alone
/// (`TCP_USER_TIMEOUT`).
const UNRECEIVED: Duration = Duration::from_secs(10);

/// A second handle to the socket below a connection, to cut it.
///
/// lapin closes a connection by asking the broker to. When the broker does not answer, the socket and its thread would stay,
/// and the broker would keep what it had handed out over the connection.
#[derive(Clone, Default)]
pub(super) struct Socket(Arc<Mutex<Option<TcpStream>>>);

impl Socket {
    /// Ends the connection at once, whatever the peer does.
    pub(super) fn cut(&self) {
        if let Some(stream) = &*self.0.lock() {
            // An error means that it is closed already, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn keep(&self, stream: TcpStream) {
        *self.0.lock() = Some(stream);
    }
}

/// Connects over a socket that notices when its peer is gone and that `kept` can cut; for `amqps://` over TLS.
pub(super) async fn connect(
    node: AMQPUri,
    properties: ConnectionProperties,
    kept: Socket,
    tls: RustlsConnector,
) -> Result<Connection, lapin::Error> {
    let runtime = runtime::default_runtime()?;
    Connection::connector(
        node,
        runtime,
        async move |node: AMQPUri, runtime| {
            let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in lookup_host((node.authority.host.as_str(), node.authority.port)).await? {
                match AsyncTcpStream::connect(&runtime, address).await {
                    Ok(stream) => {
                        if let AsyncTcpStream::Plain(plain) = &stream {
                            kept.keep(prepared(plain.get_ref())?);
                        }
                        return Ok(match node.scheme {
                            AMQPScheme::AMQP => stream,
                            AMQPScheme::AMQPS => stream.into_rustls(&tls, &node.authority.host).await?,
                        });
                    }
                    Err(error) => refused = error,
                }
            }
            Err(refused.into())
        },
        properties,
    )
    .await
}

/// Sets the socket's own deadlines, and answers with a second handle to it.
fn prepared(stream: &impl AsFd) -> io::Result<TcpStream> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(IDLE)
        .with_interval(AGAIN)
        .with_retries(TIMES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNRECEIVED))?;
    Ok(socket.try_clone()?.into())
}
