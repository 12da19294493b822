//! `GET /v1/users/{id}` from the cache, beside what bounds it from above and below.

use std::time::Duration;

use super::turns::{Turn, bare, beside, nearness, rows, take_turns};
use crate::{
    collector::Collector,
    cores::Cores,
    effort::Effort,
    load::saturate,
    report::{Check, Part},
    roles::{REDIS_KEY, Role},
    stack::{Server, Stack, reads_of},
    usage::Usage,
};

/// As many as there are connections, so that two reads at a time are hardly ever of the same person.
const PEOPLE: usize = 64;
const IN_PROCESS_TARGET: f64 = 0.60;
const REDIS_TARGET: f64 = 0.85;
const SAVED_TARGET: f64 = 0.99;
const NINE_OF_TEN_TARGET: f64 = 2.0;
/// Where each server stands among those that are measured.
const REDIS_GET: usize = 1;
const IN_PROCESS: usize = 2;
const REDIS_HIT: usize = 3;
const UNCACHED: usize = 4;
const NINE_OF_TEN: usize = 5;

/// Reads that the database answered.
const LOADED: [&str; 3] = ["waypost_cache_reads_total{", "layer=\"database\"", "outcome=\"hit\""];

pub(crate) async fn reads(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let telemetry = collector.telemetry();
    let api = stack.start(Role::UserApi, &telemetry).await?;
    let requests = reads_of(&api.people(PEOPLE).await?);
    let body = api.body(&requests[0]).await?;
    let bare = bare(&stack, &body).await?;
    let key = stack.key("bench:body");
    set(&key, &body).await?;
    let redis_get = stack.start(Role::RedisGet, &[(REDIS_KEY, key)]).await?;
    let redis_hit = stack.start(Role::RedisHit, &telemetry).await?;
    // Its store is in memory: a round trip to Redis that finds nothing is no part of reading the database.
    let [endpoint, ratio] = telemetry.clone();
    let settings = [endpoint, ratio, ("WAYPOST__STORE__URL", "memory://".to_owned())];
    let uncached = stack.start(Role::Uncached, &settings).await?;
    let nine_of_ten = stack.start(Role::NineOfTen, &settings).await?;

    let servers = [
        ("bare actix-web handler, the same bytes", bare),
        ("handler with one Redis GET", redis_get),
        ("user-api, in-process hit", api),
        ("user-api, Redis hit", redis_hit),
        ("user-api, the database each time", uncached),
        ("user-api, some nine of ten from the cache", nine_of_ten),
    ];
    let turns = take_turns(&servers, &requests, effort).await?;
    let usage = Usage::now();
    let saved = saved_on_hot_keys(&servers[IN_PROCESS].1, &requests, effort.turn).await?;
    let found = Found {
        bytes: body.len(),
        from_database: asked_database(&servers[UNCACHED].1).await?,
        missed: asked_database(&servers[NINE_OF_TEN].1).await?,
        saved,
        bottleneck: usage.bottleneck("The in-process hit"),
    };
    let names = servers.iter().map(|(name, _)| *name);
    Ok(compare(&names.zip(turns).collect::<Vec<_>>(), found, effort))
}

/// What was counted beside the turns.
struct Found {
    bytes: usize,
    /// Share of the reads without cache that asked the database.
    from_database: f64,
    /// The same of the reads that the cache should answer nine times of ten.
    missed: f64,
    /// Share of the reads of hot keys that did not ask the database.
    saved: f64,
    bottleneck: String,
}

/// Which share of a server's reads so far asked the database?
async fn asked_database(server: &Server) -> anyhow::Result<f64> {
    let asked = ["http_server_request_duration_seconds_count{", "/v1/users/{id}"];
    let asked = server.counter(&asked).await?;
    Ok(share(server.counter(&LOADED).await?, asked))
}

/// Of ten reads nine are of a tenth of the people. Which share of the reads did not ask the database?
async fn saved_on_hot_keys(server: &Server, requests: &[Vec<u8>], turn: Duration) -> anyhow::Result<f64> {
    let (hot, cold) = requests.split_at(requests.len() / 10);
    let nine_of_ten = cold.iter().flat_map(|cold| hot.iter().cycle().take(9).chain([cold]));
    let mixed: Vec<_> = nine_of_ten.cloned().collect();
    let before = server.counter(&LOADED).await?;
    let done = saturate(server.address, &mixed, turn).await?;
    let loaded = server.counter(&LOADED).await? - before;
    Ok(1.0 - share(loaded, done.requests))
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

fn compare(sides: &[(&str, Vec<Turn>)], found: Found, effort: Effort) -> Part {
    Part {
        title: "Cached GET /v1/users/{id}",
        conditions: vec![
            format!(
                "token check, tracing at 10% to a collector, metrics; {} bytes, {PEOPLE} people",
                found.bytes
            ),
            format!(
                "closed loop, 64 connections, {} turns of {:?} each, medians",
                effort.rounds, effort.turn
            ),
            format!(
                "of the reads without cache, {:.0}% asked the database, the others joined one that did",
                found.from_database * 100.0
            ),
            format!(
                "of the last row's reads, {:.0}% asked the database",
                found.missed * 100.0
            ),
        ],
        rows: rows(sides),
        checks: checks(sides, found.saved),
        bottleneck: found.bottleneck,
    }
}

fn checks(sides: &[(&str, Vec<Turn>)], saved: f64) -> Vec<Check> {
    let lower = |side: usize, ceiling: usize| nearness(&sides[side].1, &sides[ceiling].1);
    let check = |what, measured, goal, target| Check {
        what,
        measured,
        target,
        holds: measured >= goal,
    };
    vec![
        check(
            "in-process hit / bare handler, the lower of requests/s and cost",
            lower(IN_PROCESS, 0),
            IN_PROCESS_TARGET,
            ">= 0.60",
        ),
        check(
            "Redis hit / handler with one Redis GET, the lower of requests/s and cost",
            lower(REDIS_HIT, REDIS_GET),
            REDIS_TARGET,
            ">= 0.85",
        ),
        check(
            "share of reads that asked no database, nine of ten of a tenth of the people",
            saved,
            SAVED_TARGET,
            ">= 0.99",
        ),
        // What courses on caching promise: ten milliseconds each time against one in ten.
        check(
            "nine of ten from the cache / the database each time, requests/s",
            beside(&sides[NINE_OF_TEN].1, &sides[UNCACHED].1, |turn| turn.per_second),
            NINE_OF_TEN_TARGET,
            ">= 2",
        ),
    ]
}
