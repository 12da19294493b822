//! What stands on RabbitMQ itself, looked at from outside.

use common::messaging::OutboundMessage;
use common::process::State;
use contracts::topology::{EMAIL_WORKER_EVENTS, EVENTS_EXCHANGE, UNROUTED};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions, ExchangeDeleteOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use test_support::{PrivateRabbit, amqp_url, eventually};

use super::fixture::{Fixture, SOON, done, fail, outbound, someone};

/// A client of the broker that is none of ours.
async fn outsider() -> (Connection, Channel) {
    outsider_at(&amqp_url()).await
}

async fn outsider_at(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

async fn depth(channel: &Channel, queue: &str) -> u32 {
    let passive = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
        .unwrap()
        .message_count()
}

#[tokio::test]
async fn what_nobody_binds_is_kept_to_be_seen() {
    let fixture = Fixture::rabbit().await;
    let event = outbound(&someone());
    let headers = event.headers().clone();
    let stranger = OutboundMessage::from_parts(event.id(), "nobody.cares.v1".into(), headers, event.body().clone());

    fixture.broker.publish(stranger).await.unwrap();

    let (_connection, channel) = outsider().await;
    let queue = fixture.name(UNROUTED);
    eventually(SOON, async || depth(&channel, &queue).await == 1).await;
    fixture.end().await;
}

#[tokio::test]
async fn a_topology_that_is_gone_is_declared_again() {
    let fixture = Fixture::rabbit().await;
    fixture.consume_others(EMAIL_WORKER_EVENTS);
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |_| done());
    let (_connection, channel) = outsider().await;
    let exchange = fixture.name(EVENTS_EXCHANGE);
    channel
        .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
        .await
        .unwrap();

    assert!(
        fixture.broker.publish(outbound(&someone())).await.is_err(),
        "there was no exchange"
    );

    eventually(SOON, async || {
        fixture.broker.publish(outbound(&someone())).await.is_ok()
    })
    .await;
    seen.reaches(1).await;
    fixture.end().await;
}

#[tokio::test]
async fn a_message_that_died_before_still_climbs_the_ladder() {
    // RabbitMQ 3.10 drops a message with such a header out of a delay queue, as a cycle.
    let fixture = Fixture::rabbit().await;
    let seen = fixture.consume(EMAIL_WORKER_EVENTS, |message| {
        if message.attempt < 3 { fail("again") } else { done() }
    });
    let queue = fixture.name(EMAIL_WORKER_EVENTS.name);
    let mut death = FieldTable::default();
    death.insert("queue".into(), AMQPValue::LongString(queue.as_str().into()));
    death.insert("reason".into(), AMQPValue::LongString("delivery_limit".into()));
    death.insert("exchange".into(), AMQPValue::LongString("".into()));
    death.insert("count".into(), AMQPValue::LongLongInt(1));
    let mut deaths = FieldArray::default();
    deaths.push(AMQPValue::FieldTable(death));
    let event = outbound(&someone());
    let mut headers = FieldTable::default();
    for (name, value) in event.headers() {
        headers.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
    }
    headers.insert("x-death".into(), AMQPValue::FieldArray(deaths));
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_headers(headers);

    let (_connection, channel) = outsider().await;
    let options = BasicPublishOptions::default();
    let sent = channel
        .basic_publish("".into(), queue.into(), options, event.body(), properties)
        .await
        .unwrap();
    assert!(sent.await.unwrap().is_ack());

    let attempts: Vec<_> = seen.reaches(3).await.iter().map(|message| message.attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    fixture.end().await;
}

#[tokio::test]
async fn a_message_that_kills_its_consumers_ends_among_the_dead_letters() {
    let fixture = Fixture::rabbit().await;
    let event = outbound(&someone());
    fixture.broker.publish(event.clone()).await.unwrap();
    let (_connection, channel) = outsider().await;
    let queue = fixture.name(EMAIL_WORKER_EVENTS.name);

    for _ in 0..=20 {
        let message = eventually(SOON, async || {
            channel
                .basic_get(queue.as_str().into(), BasicGetOptions::default())
                .await
                .unwrap()
        });
        message
            .await
            .acker
            .reject(BasicRejectOptions { requeue: true })
            .await
            .unwrap();
    }

    let letter = fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.remove(0);
    assert_eq!(letter.id, Some(event.id().to_string()));
    assert_eq!(letter.reason, "set aside by the broker: delivery_limit");
    for _ in 0..30 {
        assert_eq!(
            fixture.dead_letters(EMAIL_WORKER_EVENTS, 1).await.len(),
            1,
            "looking took it"
        );
    }
    fixture.end().await;
}

#[tokio::test]
async fn processes_that_start_together_declare_one_topology() {
    // On a broker of its own: RabbitMQ 3.10.8 does not bear it well when queues are deleted while somebody declares them.
    let rabbit = PrivateRabbit::start().await;
    let first = Fixture::private(&rabbit.url()).await;
    first.is_up().await;
    let (_connection, channel) = outsider_at(&rabbit.url()).await;
    for queue in ["email-worker.events", "notification-gateway.events"] {
        channel
            .queue_delete(first.name(queue).into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }

    let together: Vec<_> = (0..6).map(|_| first.neighbour()).collect();

    for (broker, tasks) in &together {
        eventually(SOON, async || broker.state() == State::Up).await;
        assert!(broker.publish(outbound(&someone())).await.is_ok());
        tasks.shut_down(SOON).await.unwrap();
    }
    assert_eq!(depth(&channel, &first.name(EMAIL_WORKER_EVENTS.name)).await, 6);
    first.end().await;
}
