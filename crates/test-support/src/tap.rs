//! A proxy that keeps what clients say to a server: what anybody on the way could read.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The first byte of TLS: the type of a handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// A way to one server on 127.0.0.1 that keeps all that clients say.
#[derive(Debug)]
pub struct Tap {
    port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Tap {
    /// Lays one on the way to the server at this port.
    pub async fn on(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, server, Arc::clone(&kept)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { port, heard, task }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What each connection's client said, those that said nothing left out.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        let heard = self.heard.lock();
        heard.iter().filter(|said| !said.is_empty()).cloned().collect()
    }

    /// Whether clients went over to TLS: some said more than `preface`, the words of their protocol before TLS, and whatever
    /// followed it began with a TLS handshake. Only the first byte behind the preface is looked at.
    pub fn heard_only_tls_after(&self, preface: &[u8]) -> bool {
        let heard = self.heard();
        let is_tls = |said: &Vec<u8>| {
            let rest = said.strip_prefix(preface);
            rest.is_some_and(|rest| rest.first().is_none_or(|first| *first == HANDSHAKE))
        };
        heard.iter().any(|said| said.len() > preface.len()) && heard.iter().all(is_tls)
    }

    /// Whether a client said this word unencrypted.
    pub fn heard_word(&self, word: &str) -> bool {
        let holds = |said: &Vec<u8>| said.windows(word.len()).any(|part| part == word.as_bytes());
        self.heard().iter().any(holds)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: u16, heard: Arc<Mutex<Vec<Vec<u8>>>>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let number = {
        let mut heard = heard.lock();
        heard.push(Vec::new());
        heard.len() - 1
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
            let said = &buffer[..length];
            heard.lock()[number].extend_from_slice(said);
            if to_server.write_all(said).await.is_err() {
                break;
            }
        }
        let _ = to_server.shutdown().await;
    };
    let replies = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(requests, replies);
}
