//! From the commit of a change to the consumer that reads its event.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, ensure};
use common::{
    config::{Service, Settings},
    database::Database,
    messaging::{Broker, Changes, spawn_relay},
    process::{State, Tasks},
    telemetry::Metrics,
};
use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions},
    types::FieldTable,
};
use tokio::time::{Instant, interval, sleep, timeout};
use uuid::Uuid;

use super::figures::{count, p50_and_p99};
use crate::{
    cores::Cores,
    effort::Effort,
    report::{Part, Row},
    sample::sample_event,
    stack::Stack,
    usage::Usage,
};

/// Changes a second.
const RATE: f64 = 200.0;
const QUEUE: &str = "notification-gateway.events";
/// An event must have come by then.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn told(cores: &Cores, effort: Effort) -> anyhow::Result<Part> {
    let stack = Stack::new(cores).await?;
    let mut settings = Settings::for_tests(Service::EmailWorker);
    settings.database.url = stack.database_url().into();
    settings.broker.url = test_support::amqp_url().as_str().into();
    stack.namespace().clone_into(&mut settings.broker.namespace);
    let (tasks, metrics) = (Tasks::new(Service::EmailWorker), Metrics::new(Service::EmailWorker));
    let database = Database::connect(&settings, Service::EmailWorker).await?;
    let changes = Changes::new(Service::EmailWorker, database);
    let broker = Broker::connect(&settings, &tasks, &metrics)?;
    let end = Instant::now() + PATIENCE;
    while broker.state() != State::Up {
        ensure!(Instant::now() < end, "the broker is not up");
        sleep(Duration::from_millis(20)).await;
    }
    spawn_relay(&changes, broker, metrics, &tasks);
    let connection = Connection::connect(&test_support::amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let queue = stack.name(QUEUE);
    let coming = channel
        .basic_consume(queue.as_str().into(), "reader".into(), options, none)
        .await?;
    let changes_made = count(RATE, effort.turn * u32::try_from(effort.rounds)?);
    let usage = Usage::now();
    let (committed, came) = tokio::join!(make(&changes, changes_made), read(coming, changes_made));
    let (committed, came) = (committed?, came?);
    let took: Option<Vec<Duration>> = committed
        .iter()
        .map(|(id, at)| Some(came.get(id)?.saturating_duration_since(*at)))
        .collect();
    let [p50, p99] = p50_and_p99(took.context("an event is missing")?.into_iter());
    let bottleneck = usage.bottleneck("An event");
    tasks.shut_down(PATIENCE).await?;
    Ok(Part {
        title: "From the commit of a change to a consumer that has its event",
        conditions: vec![format!(
            "{RATE} changes a second, one event each, {changes_made} of them; relay, changes and reader on the load's core"
        )],
        rows: vec![Row::new("commit to consumer", &[("p50 ms", p50), ("p99 ms", p99)])],
        checks: Vec::new(),
        bottleneck,
    })
}

/// Makes changes at an even pace; answers with when each was committed.
async fn make(changes: &Changes, many: usize) -> anyhow::Result<Vec<(Uuid, Instant)>> {
    let mut committed = Vec::with_capacity(many);
    let mut pace = interval(Duration::from_secs_f64(1.0 / RATE));
    for _ in 0..many {
        pace.tick().await;
        let event = sample_event();
        let mut change = changes.begin().await?;
        change.tell(&event)?;
        change.commit().await?;
        committed.push((event.id, Instant::now()));
    }
    Ok(committed)
}

async fn read(mut coming: Consumer, many: usize) -> anyhow::Result<HashMap<Uuid, Instant>> {
    let mut came = HashMap::with_capacity(many);
    while came.len() < many {
        let delivery = timeout(PATIENCE, coming.next()).await.context("an event is missing")?;
        let delivery = delivery.context("the queue is gone")??;
        let id = delivery
            .properties
            .message_id()
            .as_ref()
            .context("a message without an id")?;
        came.insert(id.as_str().parse()?, Instant::now());
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(came)
}
