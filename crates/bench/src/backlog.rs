//! Sign-ups that wait in a queue, as many as are wanted.

use std::time::Duration;

use anyhow::{Context, ensure};
use common::{config::Service, messaging::OutboundMessage, telemetry::TraceContext};
use contracts::{
    Event,
    events::{Person, UserRegistered},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;
use uuid::Uuid;

/// Publishes that wait for their confirmation at once.
const WINDOW: usize = 200;
/// Longest that the filling may take: a broker that hangs must not hang the report.
const PATIENCE: Duration = Duration::from_mins(5);

/// Puts so many events into a queue that exists, each of another person, and waits until the broker has confirmed all.
pub(crate) async fn fill(queue: &str, messages: usize) -> anyhow::Result<()> {
    timeout(PATIENCE, filled(queue, messages))
        .await
        .context("the queue was not filled in time")?
}

async fn filled(queue: &str, messages: usize) -> anyhow::Result<()> {
    let connection = Connection::connect(&test_support::amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let mut waiting = FuturesUnordered::new();
    for number in 0..messages {
        if waiting.len() >= WINDOW {
            taken(waiting.next().await)?;
        }
        let message = sign_up(number)?;
        // The default exchange, whose name is empty, leads to the queue that the routing key names.
        let properties = properties(&message).with_message_id(message.id().to_string().into());
        let sent = channel.basic_publish("".into(), queue.into(), options, message.body(), properties);
        waiting.push(sent.await?);
    }
    while let Some(outcome) = waiting.next().await {
        taken(Some(outcome))?;
    }
    connection.close(200, "filled".into()).await?;
    Ok(())
}

/// The properties with which services send a message: persistent, with its headers.
pub(crate) fn properties(message: &OutboundMessage) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in message.headers() {
        headers.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
    }
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_headers(headers)
}

/// Fails unless the broker has confirmed a message, and has a queue for it.
pub(crate) fn taken(outcome: Option<lapin::Result<Confirmation>>) -> anyhow::Result<()> {
    let outcome = outcome.context("nothing was on its way")??;
    ensure!(matches!(outcome, Confirmation::Ack(None)), "a message was not taken");
    Ok(())
}

fn sign_up(number: usize) -> anyhow::Result<OutboundMessage> {
    let user_id = Uuid::now_v7();
    let person = Person {
        user_id,
        email: format!("waiting{number}@bench.example"),
        ..Person::example()
    };
    let event = Event::new(user_id, common::Timestamp::now().to_offset(), UserRegistered { person });
    Ok(OutboundMessage::of(Service::UserApi, &event, TraceContext::fresh())?)
}
