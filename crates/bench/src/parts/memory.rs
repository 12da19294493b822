//! What a service holds after a million requests.

use std::time::Duration;

use crate::{
    collector::{Collector, EVERYTHING_ON},
    cores::Cores,
    effort::Effort,
    load::{get, saturate},
    report::{Check, Part, Row},
    roles::Role,
    stack::{Server, Stack, reads_of},
    usage::{Usage, resident_mib},
};

const REQUESTS: u64 = 1_000_000;
const PEOPLE: usize = 64;
const TARGET_MIB: f64 = 60.0;
/// Most turns of the load. On a slow machine they may end before the million is reached; the row shows the number.
const TURNS: usize = 200;

pub(crate) async fn memory(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let collector = Collector::start()?;
    let stack = Stack::new(cores).await?;
    let telemetry = collector.telemetry();
    let api = stack.start(Role::UserApi, &telemetry).await?;
    let [endpoint, ratio] = telemetry;
    let keys = format!("http://{}/.well-known/jwks.json", api.address);
    let settings = [endpoint, ratio, ("WAYPOST__AUTH__JWKS_URL", keys)];
    let gateway = stack.start(Role::NotificationGateway, &settings).await?;
    let people = api.people(PEOPLE).await?;
    let lists: Vec<_> = people
        .iter()
        .map(|person| get("/v1/notifications", Some(&person.token)))
        .collect();
    let usage = Usage::now();
    let (mut rows, mut most) = (Vec::new(), 0.0_f64);
    for (name, server, requests) in [
        ("user-api, reads of an account", &api, reads_of(&people)),
        ("notification-gateway, empty lists of notifications", &gateway, lists),
    ] {
        let before = resident_mib(server.process.id())?;
        let answered = load(server, &requests, effort.turn).await?;
        let after = resident_mib(server.process.id())?;
        most = most.max(after);
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let answered = answered as f64;
        let figures = [("requests", answered), ("MiB before", before), ("MiB after", after)];
        rows.push(Row::new(name, &figures));
    }
    Ok(Part {
        title: "Resident memory after a million requests",
        conditions: vec![format!("closed loop, 64 connections, {PEOPLE} people; {EVERYTHING_ON}")],
        rows,
        checks: vec![Check {
            what: "MiB of the larger one",
            measured: most,
            target: "<= 60",
            holds: most <= TARGET_MIB,
        }],
        bottleneck: usage.bottleneck("The million"),
    })
}

async fn load(server: &Server, requests: &[Vec<u8>], turn: Duration) -> anyhow::Result<u64> {
    let mut answered = 0;
    for _ in 0..TURNS {
        if answered >= REQUESTS {
            break;
        }
        answered += saturate(server.address, requests, turn).await?.requests;
    }
    Ok(answered)
}
