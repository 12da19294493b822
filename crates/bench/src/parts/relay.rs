//! The relay beside lapin alone.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::time::{Instant, sleep};

use super::{
    counted::{Turn, by_hand, follow},
    figures::median,
};
use crate::{
    cores::Cores,
    effort::Effort,
    report::{Check, Part, Row},
    roles::Role,
    sample::sample_message,
    stack::{Server, Stack},
    usage::Usage,
};

/// Enough for some seconds.
const MESSAGES: u32 = 60_000;
/// How often the outbox is counted.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// One side's turn must be over by then.
const PATIENCE: Duration = Duration::from_mins(2);
const TARGET: f64 = 0.8;
pub(super) const PUBLISHED: [&str; 2] = ["waypost_messages_total{", "outcome=\"published\""];

pub(crate) async fn relay(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let stack = Stack::new(cores).await?;
    // The relay is the one of user-api, which has nothing else to do here.
    let api = stack.start(Role::UserApi, &[]).await?;
    let outbox = stack.connect("user_api").await?;
    let mut raw = Vec::new();
    let mut relayed = Vec::new();
    let mut bottleneck = String::new();
    for _ in 0..effort.rounds {
        raw.push(publish_alone(cores).await?);
        let usage = Usage::now();
        relayed.push(publish_through(&api, &outbox).await?);
        bottleneck = usage.bottleneck("The relay");
    }
    let of = |turns: &[Turn], value: fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    let ratios = relayed
        .iter()
        .zip(&raw)
        .map(|(relay, raw)| relay.per_second / raw.per_second);
    let measured = median(ratios.collect());
    let row = |name: &str, turns: &[Turn], ratio: f64| {
        let per_second = of(turns, |turn| turn.per_second);
        Row::new(
            name,
            &[
                ("messages/s", per_second),
                ("of raw", ratio),
                ("CPU us/message", of(turns, |turn| turn.cost)),
            ],
        )
    };
    Ok(Part {
        title: "Publishing: the outbox relay beside lapin alone",
        conditions: vec![
            format!(
                "{MESSAGES} events of as many aggregates, one quorum queue, persistent, confirmed; {} turns, medians",
                effort.rounds
            ),
            "the relay reads its rows from PostgreSQL, has up to 300 on their way, and deletes them when they are confirmed"
                .to_owned(),
        ],
        rows: vec![
            row("lapin alone, window of 100", &raw, 1.0),
            row("relay of user-api", &relayed, measured),
        ],
        checks: vec![Check {
            what: "relay / lapin alone, messages/s",
            measured,
            target: ">= 0.80",
            holds: measured >= TARGET,
        }],
        bottleneck,
    })
}

async fn publish_alone(cores: &Cores) -> anyhow::Result<Turn> {
    let child = cores.server(&["publish", &MESSAGES.to_string()])?;
    by_hand(child, MESSAGES, PATIENCE).await
}

/// Measures from the first twentieth to the end, since the relay finds the rows only at its next poll.
async fn publish_through(api: &Server, outbox: &DatabaseConnection) -> anyhow::Result<Turn> {
    let before = api.counter(&PUBLISHED).await?;
    let filling = Filling {
        rows: MESSAGES,
        aggregates: MESSAGES,
    };
    fill(outbox, filling).await?;
    let part = before + u64::from(MESSAGES / 20)..before + u64::from(MESSAGES);
    let turn = follow(api, &PUBLISHED, part, PATIENCE).await?;
    wait_until_empty(outbox).await?;
    Ok(turn)
}

/// What is written into an outbox.
#[derive(Clone, Copy)]
pub(super) struct Filling {
    pub(super) rows: u32,
    /// How many aggregates the rows belong to, in turn.
    pub(super) aggregates: u32,
}

/// Writes the rows as a commit of so many changes would. Their message ids are 1, 2, 3 and so on, as UUIDs.
pub(super) async fn fill(outbox: &DatabaseConnection, filling: Filling) -> anyhow::Result<()> {
    let sample = sample_message()?;
    let headers: &BTreeMap<String, String> = sample.headers();
    let number = |of: &str| format!("CAST(lpad(to_hex({of}), 32, '0') AS uuid)");
    let (aggregate, id) = (number("n % $6"), number("n"));
    let sql = format!(
        "INSERT INTO outbox (aggregate, message_id, type, headers, body, created_at) \
         SELECT {aggregate}, {id}, $1, jsonb_set($2::jsonb, '{{cloudEvents_id}}', to_jsonb({id})), $3, $4 \
         FROM generate_series(1, $5) AS n"
    );
    let values = [
        sample.kind().into(),
        serde_json::to_string(headers)?.into(),
        sample.body().to_vec().into(),
        common::Timestamp::now().as_micros().into(),
        i64::from(filling.rows).into(),
        i64::from(filling.aggregates).into(),
    ];
    let statement = Statement::from_sql_and_values(outbox.get_database_backend(), sql, values);
    outbox.execute_raw(statement).await?;
    Ok(())
}

/// Waits until everything in an outbox is published.
pub(super) async fn wait_until_empty(outbox: &DatabaseConnection) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let sql = "SELECT count(*) AS rows FROM outbox";
        let counted = Statement::from_string(outbox.get_database_backend(), sql);
        let row = outbox.query_one_raw(counted).await?.context("no count")?;
        if row.try_get::<i64>("", "rows")? == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < end, "confirmed rows stay in the outbox");
        sleep(LOOK_EVERY).await;
    }
}
