use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use test_support::{PrivatePostgres, PrivateRabbit, PrivateRedis};

#[tokio::test]
async fn redis_is_killed_started_again_and_frozen() {
    let mut redis = PrivateRedis::start().await;
    assert_eq!(redis.command(&["SET", "key", "1"]).await.trim(), "OK");

    redis.kill();
    assert!(!redis.answers().await);
    redis.start().await;
    assert_eq!(redis.command(&["EXISTS", "key"]).await.trim(), "0");

    redis.freeze();
    assert!(!redis.answers().await);
    redis.thaw();
    redis.ready().await;
}

#[tokio::test]
async fn postgres_keeps_what_was_committed_through_a_kill() {
    let mut postgres = PrivatePostgres::start().await;
    postgres.execute("CREATE TABLE t (id bigint)").await;
    postgres.kill();
    assert!(!postgres.answers().await);
    postgres.start_and_wait().await;
    postgres.execute("INSERT INTO t VALUES (1)").await;
}

#[tokio::test]
async fn two_brokers_at_once_do_not_meet_and_one_killed_keeps_its_messages() {
    let (mut one, other) = tokio::join!(PrivateRabbit::start(), PrivateRabbit::start());
    publish(&one.url()).await;
    assert!(!other.control(&["list_queues", "name"]).await.contains("work"));
    // A queue needs a second to settle before a kill (see PrivateRabbit).
    tokio::time::sleep(Duration::from_millis(1500)).await;

    one.restart().await;

    assert!(other.answers().await, "the other was not touched");
    assert_eq!(read(&one.url()).await.as_deref(), Some(&b"kept"[..]));
}

async fn publish(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel.queue_declare("work".into(), options, arguments).await.unwrap();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), "work".into(), options, b"kept", properties)
        .await
        .unwrap()
        .await
        .unwrap();
}

/// The queue's first message; a quorum queue may need a moment after a start.
async fn read(url: &str) -> Option<Vec<u8>> {
    test_support::eventually(Duration::from_secs(30), || async {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.ok()?;
        let channel = connection.create_channel().await.ok()?;
        let message = channel
            .basic_get("work".into(), BasicGetOptions::default())
            .await
            .ok()??;
        Some(Some(message.delivery.data.clone()))
    })
    .await
}
