//! As much as the server can take: every connection asks again as soon as it was answered.
//!
//! The load never sleeps while it runs. On a virtual machine it costs the server some microseconds an answer to wake a
//! thread that sleeps on another core, and slow servers would do so more often than fast ones. The figures would show that
//! and not the servers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    runtime::Builder,
    task::{JoinSet, yield_now},
    time::Instant,
};

use super::{
    number::{is_numbered, numbered},
    percentile,
    throughput::Throughput,
    wire::Connection,
};

/// Connections that keep a server busy.
const CONNECTIONS: usize = 64;

/// What is sent, in turn.
struct Load {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    /// Whether the requests have a place for a number, which makes each differ from all others.
    is_numbered: bool,
    end: Instant,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    failures: usize,
}

/// Sends `requests` in turn for as long as `turn`, on 64 connections.
///
/// Fails when a connection fails, or when the failures are more than a hundredth of the successes.
pub(crate) async fn saturate(address: SocketAddr, requests: &[Vec<u8>], turn: Duration) -> anyhow::Result<Throughput> {
    saturate_on(address, CONNECTIONS, requests, turn).await
}

/// The same on so many connections.
pub(crate) async fn saturate_on(
    address: SocketAddr,
    connections: usize,
    requests: &[Vec<u8>],
    turn: Duration,
) -> anyhow::Result<Throughput> {
    let requests = requests.to_vec();
    let load = Load {
        address,
        is_numbered: requests.iter().any(|request| is_numbered(request)),
        requests,
        end: Instant::now() + turn,
    };
    // The load has a thread of its own: it never sleeps, and nothing else of this program has to wait for it.
    let sending = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(send(load, connections))
    });
    sending.await?
}

async fn send(load: Load, connections: usize) -> anyhow::Result<Throughput> {
    let mut spinning = JoinSet::new();
    spinning.spawn(async {
        loop {
            yield_now().await;
        }
    });
    let (load, begin) = (Arc::new(load), Instant::now());
    let mut asking = JoinSet::new();
    for first in 0..connections {
        asking.spawn(ask_on(Arc::clone(&load), (first..).step_by(connections)));
    }
    let (mut latencies, mut failures) = (Vec::new(), 0);
    while let Some(one) = asking.join_next().await {
        let one = one??;
        latencies.extend(one.latencies);
        failures += one.failures;
    }
    let took = begin.elapsed();
    // On a busy machine a request may miss its deadline now and then; more than that is a failure of the server.
    let requests = latencies.len();
    ensure!(
        failures * 100 <= requests,
        "{failures} of {requests} requests were not answered by success"
    );
    latencies.sort_unstable();
    Ok(Throughput {
        requests: u64::try_from(requests)?,
        took,
        p50: percentile(&latencies, 0.50),
        p99: percentile(&latencies, 0.99),
    })
}

async fn ask_on(load: Arc<Load>, numbers: impl Iterator<Item = usize>) -> anyhow::Result<Seen> {
    let mut connection = Connection::open(load.address).await?;
    let mut seen = Seen::default();
    for number in numbers {
        let request = load.requests.get(number % load.requests.len().max(1));
        let request = request.context("nothing to send")?;
        let begin = Instant::now();
        if begin >= load.end {
            break;
        }
        let answer = if load.is_numbered {
            connection.ask(&numbered(request, number)).await?
        } else {
            connection.ask(request).await?
        };
        if (200..300).contains(&answer.status) {
            seen.latencies.push(begin.elapsed());
        } else {
            seen.failures += 1;
        }
    }
    Ok(seen)
}
