//! Requests that are sent at fixed times, however the server is doing. The latency of each counts from the time at which it
//! was to be sent, so that a slow server can't hide its delay by slowing down the load.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::wire::Connection;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is not used again. Servers keep one for far longer than this.
const IDLE: Duration = Duration::from_secs(2);

/// Connections that wait for a request, each since when.
type Idle = Arc<Mutex<Vec<(Instant, Connection)>>>;

/// One request's way.
pub(crate) struct Arrival {
    /// When it was to be sent.
    pub(crate) due: Instant,
    /// From then until its whole answer was there.
    pub(crate) latency: Duration,
    pub(crate) status: u16,
}

/// Sends `requests` at even distances, `rate` a second; fails when one is not answered by `status`.
pub(crate) async fn open_loop_to(
    address: SocketAddr,
    rate: f64,
    requests: impl IntoIterator<Item = Vec<u8>>,
    status: u16,
) -> anyhow::Result<Vec<Arrival>> {
    let arrivals = open_loop(address, rate, requests).await?;
    if let Some(other) = arrivals.iter().find(|arrival| arrival.status != status) {
        bail!("answered {}", other.status);
    }
    Ok(arrivals)
}

/// Sends `requests` at even distances, `rate` a second, whatever is answered.
pub(crate) async fn open_loop(
    address: SocketAddr,
    rate: f64,
    requests: impl IntoIterator<Item = Vec<u8>>,
) -> anyhow::Result<Vec<Arrival>> {
    let idle = Idle::default();
    let begin = Instant::now();
    let mut due = begin;
    let mut sent = JoinSet::new();
    for request in requests {
        sleep_until(due).await;
        sent.spawn(one(address, Arc::clone(&idle), request, due));
        due += Duration::from_secs_f64(1.0 / rate);
    }
    let mut arrivals = Vec::new();
    while let Some(arrival) = sent.join_next().await {
        arrivals.push(arrival??);
    }
    arrivals.sort_by_key(|arrival| arrival.due);
    Ok(arrivals)
}

async fn one(address: SocketAddr, idle: Idle, request: Vec<u8>, due: Instant) -> anyhow::Result<Arrival> {
    // The one that was used last: when it is too old, so are all others.
    let kept = idle.lock().pop();
    let kept = kept.filter(|(since, _)| since.elapsed() < IDLE);
    let (connection, status) = timeout(PATIENCE, ask(address, kept.map(|(_, kept)| kept), &request))
        .await
        .context("no answer in time")??;
    let latency = due.elapsed();
    let now = Instant::now();
    idle.lock().push((now, connection));
    Ok(Arrival { due, latency, status })
}

/// Asks over the connection that was kept, or over a new one where the server has closed it.
async fn ask(address: SocketAddr, kept: Option<Connection>, request: &[u8]) -> io::Result<(Connection, u16)> {
    if let Some(mut connection) = kept {
        match connection.ask(request).await.map(|answer| answer.status) {
            Ok(status) => return Ok((connection, status)),
            Err(error) if is_closed(error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
    let mut connection = Connection::open(address).await?;
    let status = connection.ask(request).await?.status;
    Ok((connection, status))
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}
