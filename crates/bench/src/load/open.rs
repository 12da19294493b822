//! Requests that come when they come, however the server is doing: each has its time, and its latency
//! counts from there.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::wire::Connection;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is not used again, far within the time that a server keeps it.
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
    // The last one first: when it is too old, so are all below it.
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut connection = match kept {
        Some((since, connection)) if since.elapsed() < IDLE => connection,
        _ => Connection::open(address).await?,
    };
    let answer = timeout(PATIENCE, connection.ask(&request))
        .await
        .context("no answer in time")??;
    let (latency, status) = (due.elapsed(), answer.status);
    let now = Instant::now();
    idle.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((now, connection));
    Ok(Arrival { due, latency, status })
}
