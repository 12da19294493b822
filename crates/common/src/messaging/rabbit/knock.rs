//! Whether anybody answers at a node that was silent before.

use lapin::uri::{AMQPScheme, AMQPUri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::{CONNECT, CallError, within};

/// What a client of AMQP 0.9.1 says first. A server that lives answers it.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Asks whether anybody answers at a node that was silent before.
///
/// An attempt of lapin's to connect that is given up leaves a thread and a socket behind for as
/// long as the peer keeps silent; one an attempt would fill the process while a broker hangs. This
/// one leaves nothing. Over TLS, which it does not speak, it only looks whether the port is open.
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
