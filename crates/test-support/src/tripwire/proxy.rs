//! The way itself: carries whole messages, and looks at each before it does.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::amqp::Frames;
use super::laid::{Hit, Laid, Points};
use super::message::{Message, Reads};
use super::point::{Point, Side};
use super::postgres::{Replies, Requests};

/// Bytes that one read takes at most.
const READ: usize = 16 * 1024;

/// A way to one server that stops a connection where a test says. From there on both sides wait, as if the other side were
/// gone, until the client closes its connection.
#[derive(Debug)]
pub struct Tripwire {
    url: String,
    points: Points,
    task: JoinHandle<()>,
}

/// What is spoken on the way, without TLS.
#[derive(Debug, Clone, Copy)]
enum Protocol {
    Postgres,
    Amqp,
}

impl Protocol {
    fn requests(self) -> Box<dyn Reads> {
        match self {
            Self::Postgres => Box::new(Requests::default()),
            Self::Amqp => Box::new(Frames),
        }
    }

    fn replies(self) -> Box<dyn Reads> {
        match self {
            Self::Postgres => Box::new(Replies::default()),
            Self::Amqp => Box::new(Frames),
        }
    }
}

impl Tripwire {
    /// Starts one on the way to a server, by its address as the settings have it: `postgres://` or `amqp://`.
    pub async fn to(url: &str) -> Self {
        let (protocol, port) = if url.starts_with("postgres") {
            (Protocol::Postgres, 5432)
        } else {
            (Protocol::Amqp, 5672)
        };
        let (before, server, behind) = parts(url);
        let upstream = if server.contains(':') {
            server.to_owned()
        } else {
            format!("{server}:{port}")
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let points = Points::default();
        let task = tokio::spawn(accept(listener, protocol, upstream, points.clone()));
        Self {
            url: format!("{before}{address}{behind}"),
            points,
            task,
        }
    }

    /// The server's address over this way.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops each connection that comes to this point from now on, for as long as what is given back lives.
    #[must_use = "nothing is stopped once it goes"]
    pub fn lay(&self, point: Point) -> Laid {
        self.points.lay(point)
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The three parts of an address: what stands before the host and port, these two, and what stands behind them.
fn parts(url: &str) -> (&str, &str, &str) {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
    let host = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    (&url[..host], &url[host..end], &url[end..])
}

async fn accept(listener: TcpListener, protocol: Protocol, upstream: String, points: Points) {
    // Dropping the set with this task ends every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (upstream, points) = (upstream.clone(), points.clone());
        connections.spawn(async move {
            if let Ok(server) = TcpStream::connect(&upstream).await {
                carry(protocol, client, server, points).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection until either end closes it; then the other end's is closed too.
async fn carry(protocol: Protocol, client: TcpStream, server: TcpStream, points: Points) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let line = Line {
        points,
        standing: Arc::default(),
    };
    tokio::select! {
        _ = line.requests(protocol.requests(), from_client, to_server) => {}
        _ = line.replies(protocol.replies(), from_server, to_client) => {}
    }
}

/// How one connection stands.
#[derive(Default)]
enum Standing {
    #[default]
    Flows,
    /// A request has passed whose answer says whether this is the place.
    Asked(Asked),
    Stopped,
}

/// What the answer to a request is to say, and what came of it yet.
struct Asked {
    id: u64,
    words: &'static str,
    held: Vec<u8>,
    is_it: bool,
}

struct Line {
    points: Points,
    standing: Arc<Mutex<Standing>>,
}

impl Line {
    /// Carries what the client says, up to a point; from there on it is only heard, so that its end is noticed.
    async fn requests(
        &self,
        mut reads: Box<dyn Reads>,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) -> std::io::Result<()> {
        let mut came = Vec::new();
        loop {
            while let Some(message) = reads.next(&mut came) {
                let Some(Hit { id, side }) = self.points.hit(&message.says) else {
                    to.write_all(&message.bytes).await?;
                    continue;
                };
                match side {
                    Side::Before => self.stop(id),
                    Side::Heard => {
                        to.write_all(&message.bytes).await?;
                        self.stop(id);
                    }
                    Side::After(words) => {
                        self.asks(id, words);
                        to.write_all(&message.bytes).await?;
                        continue;
                    }
                }
                return swallow(from).await;
            }
            came.reserve(READ);
            if from.read_buf(&mut came).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Carries what the server says, up to a point.
    async fn replies(
        &self,
        mut reads: Box<dyn Reads>,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) -> std::io::Result<()> {
        let mut came = Vec::new();
        loop {
            while let Some(message) = reads.next(&mut came) {
                let pass = self.pass(message);
                to.write_all(&pass).await?;
            }
            came.reserve(READ);
            if from.read_buf(&mut came).await? == 0 {
                return Ok(());
            }
        }
    }

    fn stop(&self, id: u64) {
        *self.standing.lock() = Standing::Stopped;
        self.points.reach(id);
    }

    /// Waits for the answer to a request. While another answer is waited for, or all is stopped, it does nothing: what is
    /// held must not be lost.
    fn asks(&self, id: u64, words: &'static str) {
        let mut standing = self.standing.lock();
        if matches!(*standing, Standing::Flows) {
            *standing = Standing::Asked(Asked {
                id,
                words,
                held: Vec::new(),
                is_it: false,
            });
        }
    }

    /// What the client may hear now that the server has said this too.
    fn pass(&self, message: Message) -> Vec<u8> {
        let mut standing = self.standing.lock();
        let asked = match &mut *standing {
            Standing::Flows => return message.bytes,
            Standing::Stopped => return Vec::new(),
            Standing::Asked(asked) => asked,
        };
        asked.held.extend(message.bytes);
        asked.is_it |= message.says.contains(asked.words);
        if !message.is_last {
            return Vec::new();
        }
        if asked.is_it {
            self.points.reach(asked.id);
            *standing = Standing::Stopped;
            return Vec::new();
        }
        let held = std::mem::take(&mut asked.held);
        *standing = Standing::Flows;
        held
    }
}

async fn swallow(mut from: OwnedReadHalf) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parted_around_its_host_and_port() {
        for (url, parted) in [
            ("postgres://p:w@h:5/x?a=b", ("postgres://p:w@", "h:5", "/x?a=b")),
            ("amqp://h", ("amqp://", "h", "")),
        ] {
            assert_eq!(parts(url), parted);
        }
    }

    #[test]
    fn a_request_before_the_answer_drops_nothing_and_a_refusal_ends_the_waiting() {
        let line = Line {
            points: Points::default(),
            standing: Arc::default(),
        };
        let hears = |says: &str, is_last| {
            line.pass(Message {
                bytes: says.as_bytes().to_vec(),
                says: says.to_owned(),
                is_last,
            })
        };
        line.asks(0, "basic.ack");
        assert_eq!(hears("other ", false), b"");
        line.asks(1, "basic.ack");
        assert_eq!(hears("basic.nack", true), b"other basic.nack");
        assert_eq!(hears("basic.ack", true), b"basic.ack", "nothing is waited for");
        line.asks(0, "basic.ack");
        assert_eq!(hears("basic.ack", true), b"");
        line.asks(0, "basic.ack");
        assert_eq!(hears("basic.nack", true), b"", "it is stopped for good");
    }
}
