//! A TCP proxy with faults to switch on: what a network does on a bad day.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::Port;

/// What the proxy does with connections, those that are open included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Carries bytes both ways.
    Pass,
    /// Nobody listens: new connections are refused, open ones are reset.
    Refuse,
    /// Holds connections open and carries nothing; what was held is carried when the fault ends.
    BlackHole,
    /// The same in one direction: the server hears all, its answers are held until the fault ends.
    MuteReplies,
    /// Carries every piece this much later, in each direction.
    Delay(Duration),
    /// Carries one byte at a time with this pause.
    Trickle(Duration),
    /// Resets each connection (TCP RST), new ones too, as soon as one of its directions has carried this many bytes.
    ResetAfter(usize),
}

/// A proxy in front of one server. Its address stays the same through every fault.
#[derive(Debug)]
pub struct FaultProxy {
    port: Port,
    fault: watch::Sender<Fault>,
    listening: watch::Receiver<bool>,
    trap: Trap,
    silenced: watch::Sender<u64>,
    task: JoinHandle<()>,
}

/// The request whose answer is to get lost, if any. It works once; its connection hears nothing more afterwards.
#[derive(Debug, Clone, Default)]
struct Trap(Arc<Mutex<Option<Vec<u8>>>>);

impl Trap {
    fn request(&self) -> parking_lot::MutexGuard<'_, Option<Vec<u8>>> {
        self.0.lock()
    }

    /// Whether `bytes`, which one read brought, hold the request; true once.
    fn springs_at(&self, bytes: &[u8]) -> bool {
        let mut request = self.request();
        let holds = |wanted: &Vec<u8>| bytes.windows(wanted.len()).any(|some| some == wanted.as_slice());
        let springs = request.as_ref().is_some_and(holds);
        if springs {
            *request = None;
        }
        springs
    }
}

impl FaultProxy {
    /// Starts one that passes everything on to `upstream` (`host:port`).
    pub async fn start(upstream: impl Into<String>) -> Self {
        let port = Port::reserve();
        let (fault, faults) = watch::channel(Fault::Pass);
        let (listen, listening) = watch::channel(false);
        let trap = Trap::default();
        let (silenced, heard) = watch::channel(0);
        let line = Line {
            upstream: upstream.into(),
            faults,
            trap: trap.clone(),
            silences: heard,
        };
        let task = tokio::spawn(accept(port.number(), line, listen));
        let proxy = Self {
            port,
            fault,
            listening,
            trap,
            silenced,
            task,
        };
        proxy.set(Fault::Pass).await;
        proxy
    }

    /// Starts one in front of the server of `url`, which is PostgreSQL's, RabbitMQ's or Redis's.
    pub async fn before(url: &str) -> Self {
        let url = Url::parse(url).expect("a URL");
        let usual = match url.scheme() {
            "amqps" => 5671,
            "amqp" => 5672,
            "redis" | "rediss" => 6379,
            _ => 5432,
        };
        let host = url.host_str().expect("a server");
        Self::start(format!("{host}:{}", url.port().unwrap_or(usual))).await
    }

    /// `url` by way of this proxy.
    pub fn url(&self, url: &str) -> String {
        let mut url = Url::parse(url).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("a server");
        url.set_port(Some(self.port.number())).expect("a server");
        url.into()
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number()))
    }

    /// Switches to another fault, for open connections too; comes back when it holds.
    pub async fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
        let mut listening = self.listening.clone();
        let wanted = fault != Fault::Refuse;
        let _ = listening.wait_for(|listens| *listens == wanted).await;
    }

    /// Loses the answer to the next request that holds `text`: the connection that it comes over stays open and
    /// silent, as if its host were gone. Others, and those that are made after, are carried on.
    ///
    /// A prepared statement's text goes over a connection once, when it is prepared.
    pub fn lose_answer_to(&self, text: &str) {
        *self.trap.request() = Some(text.as_bytes().to_vec());
    }

    /// Lets clients hear nothing more over every connection that is open now, as when the server's host is gone and
    /// another one has its address. Connections that are made later are carried.
    pub fn silence_open_connections(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }

    /// Whether the request of [`Self::lose_answer_to`] has come, so that its answer is lost; also true when none was named.
    pub fn has_lost_it(&self) -> bool {
        self.trap.request().is_none()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where every connection is carried to, and how.
#[derive(Clone)]
struct Line {
    upstream: String,
    faults: watch::Receiver<Fault>,
    trap: Trap,
    /// How often all open connections were silenced.
    silences: watch::Receiver<u64>,
}

/// Listens for as long as the fault allows, and again when it ends.
async fn accept(port: u16, line: Line, listen: watch::Sender<bool>) {
    let mut faults = line.faults.clone();
    // Dropping the set with this task ends every connection.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        if faults.wait_for(|fault| *fault != Fault::Refuse).await.is_err() {
            return;
        }
        let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        listen.send_replace(true);
        let mut closing = faults.clone();
        loop {
            tokio::select! {
                () = refusing(&mut closing) => break,
                accepted = listener.accept() => {
                    if let Ok((client, _)) = accepted {
                        connections.spawn(carry(client, line.clone()));
                    }
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        // Refused means that none is left open either: each resets itself, a stuck one is dropped.
        let all_gone = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), all_gone).await;
        connections.shutdown().await;
        listen.send_replace(false);
    }
}

/// Waits until connections are to be refused, or the proxy is gone.
async fn refusing(faults: &mut watch::Receiver<Fault>) {
    let _ = faults.wait_for(|fault| *fault == Fault::Refuse).await;
}

/// Carries one connection until either end or a fault closes it.
async fn carry(client: TcpStream, line: Line) {
    let Line {
        upstream,
        mut faults,
        trap,
        silences,
    } = line;
    // A black hole takes the connection and goes no further.
    if faults.wait_for(|fault| *fault != Fault::BlackHole).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(&upstream).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (silence, silent) = watch::channel(false);
    let mut request = Pump::new(from_client, to_server, faults.clone(), Role::Request { trap, silence });
    let silences = (*silences.borrow(), silences.clone());
    let mut reply = Pump::new(from_server, to_client, faults, Role::Reply { silent, silences });
    let cut = tokio::try_join!(request.run(), reply.run()).is_err();
    if cut {
        reset(request.from, reply.to);
        reset(reply.from, request.to);
    }
}

/// Closes with RST. The halves are joined first: a write half that is dropped alone says FIN.
fn reset(from: OwnedReadHalf, to: OwnedWriteHalf) {
    if let Ok(stream) = from.reunite(to) {
        let _ = stream.set_zero_linger();
    }
}

/// The connection is to be reset.
struct Cut;

/// One direction of one connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    faults: watch::Receiver<Fault>,
    role: Role,
    carried: usize,
}

/// What a direction is.
enum Role {
    /// Looks for the request whose answer is to get lost.
    Request { trap: Trap, silence: watch::Sender<bool> },
    /// Carries nothing once it was found.
    Reply {
        silent: watch::Receiver<bool>,
        /// How often all connections had been silenced when this one was made, and have been by now.
        silences: (u64, watch::Receiver<u64>),
    },
}

impl Pump {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf, faults: watch::Receiver<Fault>, role: Role) -> Self {
        Self {
            from,
            to,
            faults,
            role,
            carried: 0,
        }
    }

    /// Runs until this direction ends (the other may go on) or the connection is to be cut.
    async fn run(&mut self) -> Result<(), Cut> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            self.passing().await?;
            let length = tokio::select! {
                read = self.from.read(&mut buffer) => read.map_err(|_| Cut)?,
                _ = self.faults.changed() => continue,
            };
            if length == 0 {
                self.passing().await?;
                let _ = self.to.shutdown().await;
                return Ok(());
            }
            if let Role::Request { trap, silence } = &self.role
                && trap.springs_at(&buffer[..length])
            {
                silence.send_replace(true);
            }
            if let Role::Reply { silent, silences } = &self.role
                && (*silent.borrow() || *silences.1.borrow() > silences.0)
            {
                continue;
            }
            self.deliver(&buffer[..length]).await?;
        }
    }

    async fn deliver(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        // What came while the fault changed obeys the new one.
        match self.passing().await? {
            Fault::Trickle(pause) => {
                for byte in bytes {
                    tokio::time::sleep(pause).await;
                    self.passing().await?;
                    self.to.write_all(&[*byte]).await.map_err(|_| Cut)?;
                }
                return Ok(());
            }
            Fault::Delay(delay) => tokio::time::sleep(delay).await,
            Fault::ResetAfter(limit) if self.carried + bytes.len() >= limit => {
                let rest = limit.saturating_sub(self.carried);
                let _ = self.to.write_all(&bytes[..rest]).await;
                return Err(Cut);
            }
            _ => {}
        }
        self.carried += bytes.len();
        self.to.write_all(bytes).await.map_err(|_| Cut)
    }

    /// Waits until this direction may carry something.
    async fn passing(&mut self) -> Result<Fault, Cut> {
        let is_reply = matches!(self.role, Role::Reply { .. });
        let fault = self
            .faults
            .wait_for(|fault| match fault {
                Fault::BlackHole => false,
                Fault::MuteReplies => !is_reply,
                _ => true,
            })
            .await
            .map_err(|_| Cut)?;
        match *fault {
            Fault::Refuse | Fault::ResetAfter(0) => Err(Cut),
            other => Ok(other),
        }
    }
}
