//! Whether anybody answers at a node that was silent before.

use lapin::uri::{AMQPScheme, AMQPUri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::{CONNECT, CallError, within};

/// The protocol header of AMQP 0-9-1 (section 4.2.2 of its specification): what a client sends first. A server answers it.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Asks whether anybody answers at a node that was silent before.
///
/// When an attempt of lapin's to connect is given up, it leaves a thread and a socket behind for as long as the peer is
/// silent: while a broker hangs, every further attempt would add one. A knock leaves nothing behind. It does not speak
/// TLS: there it only looks whether the port is open.
pub(super) async fn knock(node: &AMQPUri) -> Result<(), CallError> {
    let address = (node.authority.host.as_str(), node.authority.port);
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        if node.scheme == AMQPScheme::AMQP {
            stream.write_all(HEADER).await?;
            stream.read_u8().await?;
        }
        Ok(())
    };
    within(CONNECT, asking).await
}
