//! Debian's wrk, which costs less of its core than a client in Rust would.

use std::{fmt::Write as _, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, bail, ensure};
use test_support::Folder;

use super::{number::NUMBER, throughput::Throughput};

/// What ends our line in wrk's output.
const MARK: &str = "bench-result";

pub(super) fn is_installed() -> bool {
    Command::new("wrk").arg("--version").output().is_ok()
}

pub(super) async fn run(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    turn: Duration,
) -> anyhow::Result<Throughput> {
    let folder = Folder::create();
    let path = folder.join("load.lua");
    std::fs::write(&path, script(requests)?)?;
    let output = tokio::task::spawn_blocking(move || {
        Command::new("wrk")
            .args([
                "-t1",
                &format!("-c{connections}"),
                &format!("-d{}s", turn.as_secs().max(1)),
            ])
            .arg("-s")
            .arg(path)
            .arg(format!("http://{address}/"))
            .output()
    });
    let output = output.await?.context("wrk can't be run")?;
    read(&String::from_utf8_lossy(&output.stdout))
}

/// wrk sends these requests in turn, and says at the end what it counted.
fn script(requests: &[Vec<u8>]) -> anyhow::Result<String> {
    let mut script = String::from("local requests = {\n");
    for request in requests {
        // Debug's escapes of ASCII are Lua's.
        writeln!(script, "  {:?},", std::str::from_utf8(request)?)?;
    }
    let numbered = requests
        .iter()
        .any(|request| request.windows(NUMBER.len()).any(|part| part == NUMBER.as_bytes()));
    write!(
        script,
        "}}
local sent = 0
local numbered = {numbered}
request = function()
  sent = sent + 1
  local one = requests[sent % #requests + 1]
  if numbered then one = one:gsub('{NUMBER}', string.format('%0{}d', sent)) end
  return one
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('%d %d %d %d %d {MARK}\\n', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end
",
        NUMBER.len()
    )?;
    Ok(script)
}

fn read(output: &str) -> anyhow::Result<Throughput> {
    let line = output.lines().find_map(|line| line.strip_suffix(MARK));
    let line = line.with_context(|| format!("wrk said nothing of use:\n{output}"))?;
    let numbers = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>()?;
    let [requests, took, errors, p50, p99] = numbers[..] else {
        bail!("wrk said {line}");
    };
    // A busy machine now and then costs a request its time-out; more than that is a failure of the server.
    ensure!(
        errors * 100 <= requests,
        "{errors} of {requests} requests were not answered by success"
    );
    Ok(Throughput {
        requests: requests - errors,
        took: Duration::from_micros(took),
        p50: Duration::from_micros(p50),
        p99: Duration::from_micros(p99),
    })
}
