//! Requests as bytes, answers as they come: no client library stands between and repairs them.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that has not answered, and closed, by then hangs.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// What came back over a connection until the server closed it.
#[derive(Debug)]
pub(super) struct Answer {
    /// `None`: closed without a word.
    pub(super) status: Option<u16>,
    headers: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 4..]));
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5)?.parse().ok());
        Self {
            status,
            headers: head,
            body: body.to_vec(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut named = lines.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Sends the bytes and reads until the server closes; `None` when it does not within the deadline.
///
/// Reading and writing go on side by side: a server may refuse before it has read everything.
pub(super) async fn exchange(address: &str, request: &[u8], deadline: Duration) -> Option<Answer> {
    let talk = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let mut bytes = Vec::new();
        let (_, _) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes));
        Answer::of(&bytes)
    };
    timeout(deadline, talk).await.ok()
}
