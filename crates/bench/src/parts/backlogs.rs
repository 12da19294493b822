//! The relay over a long backlog, beside somebody's old snapshot: whether it slows down, and whether events overtake.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::time::timeout;
use uuid::Uuid;

use super::counted::follow;
use super::relay::{Filling, PUBLISHED, fill, wait_until_empty};
use crate::{
    cores::Cores,
    effort::Effort,
    report::{Check, Part, Row},
    roles::Role,
    stack::{Server, Stack},
    usage::Usage,
};

const UNDER_A_SNAPSHOT: u32 = 300_000;
const LONG: u32 = 1_000_000;
/// Events that are measured, at the beginning or the end of a backlog.
const SLICE: u32 = 20_000;
/// How many aggregates the events belong to; the events of each must stay in order.
const AGGREGATES: u32 = 1_000;
const PATIENCE: Duration = Duration::from_mins(5);
/// The queue that the events of this part go to, and no other.
const QUEUE: &str = "notification-gateway.events";
const TARGET: f64 = 0.8;

pub(crate) async fn backlogs(cores: &Cores, _: Effort) -> anyhow::Result<Part> {
    let usage = Usage::now();
    let held = under_a_snapshot(cores).await?;
    let long = over_a_million(cores).await?;
    let ratios = [held.last / held.first, long / held.first];
    let row = |name: &str, per_second: f64| {
        Row::new(
            name,
            &[("messages/s", per_second), ("of the first", per_second / held.first)],
        )
    };
    let check = |what, measured: f64| Check {
        what,
        measured,
        target: ">= 0.80",
        holds: measured >= TARGET,
    };
    Ok(Part {
        title: "The relay over a long backlog, and beside an old snapshot",
        conditions: vec![
            format!(
                "{UNDER_A_SNAPSHOT} events of {AGGREGATES} aggregates while one transaction keeps its snapshot; {SLICE} measured"
            ),
            format!(
                "at the end {:.0} dead rows in the outbox, {:.0} bytes of WAL a message",
                held.dead_rows, held.wal_bytes
            ),
        ],
        rows: vec![
            row("the first, under the snapshot", held.first),
            row("the last, under the snapshot", held.last),
            row("the first of a million", long),
        ],
        checks: vec![
            check("the last / the first, under the snapshot", ratios[0]),
            check("the first of a million / the first", ratios[1]),
            Check {
                what: "events that overtook one of their aggregate",
                measured: held.overtakings,
                target: "= 0",
                holds: held.overtakings < 0.5,
            },
        ],
        bottleneck: usage.bottleneck("The backlog"),
    })
}

struct Held {
    first: f64,
    last: f64,
    overtakings: f64,
    dead_rows: f64,
    wal_bytes: f64,
}

async fn under_a_snapshot(cores: &Cores) -> anyhow::Result<Held> {
    let stack = Stack::new(cores).await?;
    let api = stack.start(Role::UserApi, &[]).await?;
    let (outbox, old) = (stack.connect("user_api").await?, stack.connect("user_api").await?);
    old.execute_unprepared("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
        .await?;
    let wal = number(&outbox, WAL).await?;
    let filling = Filling {
        rows: UNDER_A_SNAPSHOT,
        aggregates: AGGREGATES,
    };
    fill(&outbox, filling).await?;
    let first = rate(&api, 0).await?;
    let last = rate(&api, UNDER_A_SNAPSHOT - SLICE - SLICE / 20).await?;
    wait_until_empty(&outbox).await?;
    let wal_bytes = (number(&outbox, WAL).await? - wal) / f64::from(UNDER_A_SNAPSHOT);
    let dead_rows = number(&outbox, DEAD).await?;
    old.execute_unprepared("COMMIT").await?;
    let overtakings = overtakings(&stack.name(QUEUE), UNDER_A_SNAPSHOT).await?;
    Ok(Held {
        first,
        last,
        overtakings,
        dead_rows,
        wal_bytes,
    })
}

async fn over_a_million(cores: &Cores) -> anyhow::Result<f64> {
    let stack = Stack::new(cores).await?;
    let outbox = stack.connect("user_api").await?;
    let filling = Filling {
        rows: LONG,
        aggregates: LONG,
    };
    fill(&outbox, filling).await?;
    let api = stack.start(Role::UserApi, &[]).await?;
    rate(&api, SLICE / 20).await
}

/// Messages a second, over a slice that begins when `from` are published.
async fn rate(api: &Server, from: u32) -> anyhow::Result<f64> {
    let from = u64::from(from.max(1));
    let turn = follow(api, &PUBLISHED, from..from + u64::from(SLICE), PATIENCE).await?;
    Ok(turn.per_second)
}

/// Reads the queue to its end and counts the events that came after a later event of their aggregate.
async fn overtakings(queue: &str, messages: u32) -> anyhow::Result<f64> {
    let connection = Connection::connect(&test_support::amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(1_000, BasicQosOptions::default()).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut coming = channel
        .basic_consume(queue.into(), "reader".into(), options, none)
        .await?;
    let (mut newest, mut seen, mut overtook) = (HashMap::new(), 0, 0_u32);
    while seen < messages {
        let delivery = timeout(PATIENCE, coming.next()).await.context("a message is missing")?;
        let delivery = delivery.context("the queue is gone")??;
        let id = delivery
            .properties
            .message_id()
            .as_ref()
            .context("a message without an id")?;
        let number = id.as_str().parse::<Uuid>()?.as_u128();
        let newest = newest.entry(number % u128::from(AGGREGATES)).or_insert(0);
        overtook += u32::from(number < *newest);
        *newest = number.max(*newest);
        seen += 1;
        if seen.is_multiple_of(500) || seen == messages {
            let all = BasicAckOptions { multiple: true };
            delivery.ack(all).await?;
        }
    }
    ensure!(newest.len() == AGGREGATES as usize, "an aggregate is missing");
    Ok(f64::from(overtook))
}

const WAL: &str = "SELECT CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS float8) AS value";
const DEAD: &str = "SELECT CAST(n_dead_tup AS float8) AS value FROM pg_stat_user_tables WHERE relname = 'outbox' AND schemaname = 'user_api'";

async fn number(database: &DatabaseConnection, sql: &str) -> anyhow::Result<f64> {
    let asked = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(asked).await?.context("no such number")?;
    Ok(row.try_get("", "value")?)
}
