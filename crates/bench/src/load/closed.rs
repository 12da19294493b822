//! As much as the server can take: every connection asks again as soon as it was answered.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::bail;
use tokio::{task::JoinSet, time::Instant};

use super::{number::numbered, percentile, throughput::Throughput, wire::Connection, wrk};

/// Connections that keep a server busy.
const CONNECTIONS: usize = 64;

/// Sends `requests` in turn for as long as `turn`: by wrk where it is installed, else from here.
///
/// Fails when one of them is not answered by success.
pub(crate) async fn saturate(address: SocketAddr, requests: &[Vec<u8>], turn: Duration) -> anyhow::Result<Throughput> {
    if wrk::is_installed() {
        return wrk::run(address, requests, CONNECTIONS, turn).await;
    }
    let requests: Arc<[Vec<u8>]> = requests.into();
    let begin = Instant::now();
    let mut connections = JoinSet::new();
    for first in 0..CONNECTIONS {
        connections.spawn(ask_on(address, Arc::clone(&requests), first, begin + turn));
    }
    let mut latencies = Vec::new();
    while let Some(one) = connections.join_next().await {
        latencies.extend(one??);
    }
    let took = begin.elapsed();
    latencies.sort_unstable();
    Ok(Throughput {
        requests: u64::try_from(latencies.len())?,
        took,
        p50: percentile(&latencies, 0.50),
        p99: percentile(&latencies, 0.99),
    })
}

async fn ask_on(
    address: SocketAddr,
    requests: Arc<[Vec<u8>]>,
    first: usize,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(address).await?;
    let mut latencies = Vec::new();
    let numbers = (first..).step_by(CONNECTIONS);
    let in_turn = requests.iter().cycle().skip(first % requests.len().max(1));
    for (number, request) in numbers.zip(in_turn) {
        let request = numbered(request, number);
        let begin = Instant::now();
        if begin >= end {
            break;
        }
        let status = connection.ask(&request).await?.status;
        if !(200..300).contains(&status) {
            bail!("answered {status}");
        }
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}
