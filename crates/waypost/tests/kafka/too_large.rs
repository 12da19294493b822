//! An event that the topic does not take: it waits, with what follows it, and nobody else does.

use test_support::{PrivateKafka, eventually};
use uuid::Uuid;

use crate::replica::{Own, PATIENCE, Replica, event};

const TOPIC: &str = "small";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_large_for_the_topic_holds_back_its_key_alone_until_the_topic_takes_it() {
    let kafka = PrivateKafka::start().await;
    kafka.create_topic(TOPIC, 1).await;
    kafka.configure(TOPIC, "max.message.bytes=70000").await;
    let own = Own::over(&kafka, TOPIC).await;
    let replica = Replica::start(&own).await;
    let (stuck, free) = (Uuid::now_v7(), Uuid::now_v7());
    let large = "a".repeat(100_000);
    let events = [event(stuck, 1, &large), event(stuck, 2, "Ada"), event(free, 1, "Ada")];
    let mut change = replica.changes.begin().await.unwrap();
    for event in &events {
        change.tell(event).unwrap();
    }
    change.commit().await.unwrap();

    eventually(PATIENCE, async || replica.waiting().await == 2).await;
    let keys: Vec<_> = kafka
        .records(TOPIC)
        .await
        .into_iter()
        .map(|record| record.key)
        .collect();
    assert_eq!(keys, [free.to_string()]);

    kafka.configure(TOPIC, "max.message.bytes=1048588").await;
    eventually(PATIENCE, async || replica.waiting().await == 0).await;
    let ids: Vec<_> = kafka
        .records(TOPIC)
        .await
        .into_iter()
        .map(|record| record.headers["ce_id"].clone())
        .collect();
    assert_eq!(
        ids,
        [&events[2], &events[0], &events[1]].map(|event| event.id.to_string())
    );
    replica.end().await;
}
