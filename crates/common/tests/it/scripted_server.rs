//! An HTTP server on a real port that answers as a test says, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::process::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What to do with one request.
pub(crate) enum Reply {
    /// Status line's end, extra header lines (each with its `\r\n`), body.
    Answer(&'static str, &'static str, String),
    /// Nothing, for ever.
    Hang,
    /// A byte of the body each 20 ms, for ever.
    Drip,
    /// The beginning of an answer, then nothing.
    Stop,
    /// The connection ends without an answer.
    Close,
}

pub(crate) fn ok(body: &str) -> Reply {
    Reply::Answer("200 OK", "", body.to_owned())
}

pub(crate) fn status(line: &'static str) -> Reply {
    Reply::Answer(line, "", String::new())
}

/// A request that arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) head: String,
}

#[derive(Clone)]
pub(crate) struct ScriptedServer {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl ScriptedServer {
    /// `script` is given the number of the request, from 0.
    pub(crate) async fn start(tasks: &Tasks, script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap()).parse().unwrap();
        let server = Self {
            url,
            seen: Arc::default(),
        };
        let (seen, script, owner) = (Arc::clone(&server.seen), Arc::new(script), tasks.clone());
        tasks.spawn("scripted server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                owner.spawn("scripted connection", async move {
                    let _ = serve(stream, &seen, &*script).await;
                });
            }
        });
        server
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    script: &(impl Fn(usize) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(Seen {
            at: Instant::now(),
            head,
        });
        seen.len() - 1
    };
    match script(number) {
        Reply::Answer(line, headers, body) => {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {line}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await?;
            stream.shutdown().await
        }
        Reply::Hang => std::future::pending().await,
        Reply::Stop => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx")
                .await?;
            std::future::pending().await
        }
        Reply::Close => Ok(()),
        Reply::Drip => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                .await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
