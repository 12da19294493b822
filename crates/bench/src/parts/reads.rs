//! `GET /v1/users/{id}` from the cache, beside what bounds it from above and below.

use std::time::Duration;

use super::figures::{median, millis};
use crate::{
    collector::Collector,
    cores::{Cores, processor_time},
    effort::Effort,
    load::{get, saturate},
    report::{Check, Part, Row},
    roles::{BODY_FILE, REDIS_KEY, Role},
    stack::{Server, Stack},
};

/// As many as there are connections, so that hardly two reads at a time are of one person.
const PEOPLE: usize = 64;
const TARGET: f64 = 0.40;

/// What one server did in one turn.
struct Turn {
    per_second: f64,
    /// Microseconds of the processor that one request cost.
    cost: f64,
    /// Share of the time in which the server had its core.
    share: f64,
    p50: Duration,
    p99: Duration,
}

pub(crate) async fn reads(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let telemetry = [
        ("WAYPOST__TELEMETRY__OTLP_ENDPOINT", collector.endpoint.clone()),
        ("WAYPOST__TELEMETRY__SAMPLE_RATIO", "0.1".to_owned()),
    ];
    let api = stack.start(Role::UserApi, &telemetry).await?;
    let people = api.people(PEOPLE).await?;
    let requests: Vec<_> = people
        .iter()
        .map(|person| get(&format!("/v1/users/{}", person.id), Some(&person.token)))
        .collect();
    let body = api.body(&requests[0]).await?;
    let file = stack.file("body.json");
    std::fs::write(&file, &body)?;
    let bare = [(BODY_FILE, file.display().to_string())];
    let bare = stack.start(Role::Bare, &bare).await?;
    let key = stack.key("bench:body");
    set(&key, &body).await?;
    let redis_get = stack.start(Role::RedisGet, &[(REDIS_KEY, key)]).await?;
    // Its store is memory: a round trip to Redis for nothing would be no part of reading the database.
    let [endpoint, ratio] = telemetry;
    let settings = [endpoint, ratio, ("WAYPOST__STORE__URL", "memory://".to_owned())];
    let uncached = stack.start(Role::Uncached, &settings).await?;

    let servers = [
        ("bare actix-web handler, the same bytes", bare),
        ("handler with one Redis GET", redis_get),
        ("user-api, in-process hit", api),
        ("user-api, the database each time", uncached),
    ];
    let mut turns: Vec<Vec<Turn>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=effort.rounds {
        for ((_, server), turns) in servers.iter().zip(&mut turns) {
            // The first round is the warm-up.
            let length = if round == 0 {
                Duration::from_secs(1)
            } else {
                effort.turn
            };
            let turn = take(server, &requests, length).await?;
            if round > 0 {
                turns.push(turn);
            }
        }
    }
    let asked = servers[3]
        .1
        .counter(&["http_server_request_duration_seconds_count{", "/v1/users/{id}"])
        .await?;
    let loaded = servers[3]
        .1
        .counter(&["waypost_cache_reads_total{", "layer=\"database\"", "outcome=\"hit\""])
        .await?;
    let names = servers.iter().map(|(name, _)| *name);
    Ok(compare(
        &names.zip(turns).collect::<Vec<_>>(),
        body.len(),
        share(loaded, asked),
        effort,
    ))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

async fn set(key: &str, body: &[u8]) -> anyhow::Result<()> {
    use deadpool_redis::redis::{Client, cmd};
    let mut connection = Client::open(test_support::redis_url())?
        .get_multiplexed_async_connection()
        .await?;
    cmd("SET")
        .arg(key)
        .arg(body)
        .arg("EX")
        .arg(3600)
        .query_async::<()>(&mut connection)
        .await?;
    Ok(())
}

async fn take(server: &Server, requests: &[Vec<u8>], length: Duration) -> anyhow::Result<Turn> {
    let before = processor_time(&server.process)?;
    let done = saturate(server.address, requests, length).await?;
    let used = processor_time(&server.process)?.saturating_sub(before).as_secs_f64();
    Ok(Turn {
        per_second: done.per_second(),
        cost: used * 1e6 / (done.per_second() * done.took.as_secs_f64()),
        share: used / done.took.as_secs_f64(),
        p50: done.p50,
        p99: done.p99,
    })
}

fn compare(sides: &[(&str, Vec<Turn>)], bytes: usize, from_database: f64, effort: Effort) -> Part {
    let middle = |turns: &[Turn], value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let ceiling = &sides[0].1;
    // Round by round: both sides of a ratio were measured seconds apart.
    let ratio = |turns: &[Turn], value: fn(&Turn) -> f64| {
        median(
            turns
                .iter()
                .zip(ceiling)
                .map(|(turn, bare)| value(turn) / value(bare))
                .collect(),
        )
    };
    let rows = sides.iter().map(|(name, turns)| {
        Row::new(
            *name,
            &[
                ("requests/s", middle(turns, |turn| turn.per_second)),
                ("of bare", ratio(turns, |turn| turn.per_second)),
                ("CPU us/request", middle(turns, |turn| turn.cost)),
                ("of its core", middle(turns, |turn| turn.share)),
                ("p50 ms", middle(turns, |turn| millis(turn.p50))),
                ("p99 ms", middle(turns, |turn| millis(turn.p99))),
            ],
        )
    });
    let rows = rows.collect();
    // On a core that others use too, the requests a second of the two are not of the same core; what one
    // request costs is. The lower of the two ratios counts.
    let hit = &sides[2].1;
    let by_cost = 1.0 / ratio(hit, |turn| turn.cost);
    let measured = ratio(hit, |turn| turn.per_second).min(by_cost);
    Part {
        title: "Cached GET /v1/users/{id}",
        conditions: vec![
            format!("token check, tracing at 10% to a collector, metrics; {bytes} bytes, {PEOPLE} people"),
            format!(
                "closed loop, 64 connections, {} turns of {:?} each, medians",
                effort.rounds, effort.turn
            ),
            format!(
                "of the reads without cache, {:.0}% asked the database, the others joined one that did",
                from_database * 100.0
            ),
        ],
        rows,
        checks: vec![Check {
            what: "in-process hit / bare handler, the lower of requests/s and cost",
            measured,
            target: ">= 0.40",
            holds: measured >= TARGET,
        }],
    }
}
