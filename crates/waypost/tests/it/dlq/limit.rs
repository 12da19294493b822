//! What the broker itself set aside goes back, through the delay queues too, and does not vanish.

use lapin::options::{BasicGetOptions, BasicRejectOptions};
use lapin::{Connection, ConnectionProperties};
use serde_json::json;
use test_support::{amqp_url, eventually};

use super::scene::{GATEWAY, MAILS, Scene, registered};
use crate::client::PATIENCE;

/// So often the broker hands out a message that kills its consumers.
const DELIVERIES: u32 = 21;

#[tokio::test(flavor = "multi_thread")]
async fn what_died_by_the_delivery_limit_and_was_replayed_does_not_vanish_in_a_delay_queue() {
    let scene = Scene::prepare().await;
    let (id, message) = registered("ada@example.com");
    scene.publish(&message).await;
    kill_consumers(&scene).await;
    scene.are_dead(MAILS, 1).await;
    let letters = scene
        .dlq(&format!("list --json --queue {MAILS}"))
        .await
        .ends(0)
        .objects();
    assert_eq!(letters[0]["reason"], json!("set aside by the broker: delivery_limit"));
    assert!(letters[0]["time"].is_string(), "{:?}", letters[0]);

    // Its consumer fails on it for a while: it goes through both delay queues.
    let (_, earlier) = registered("ada@example.com");
    let worker = scene.worker().await;
    scene.publish(&earlier).await;
    scene.smtp.wait_for(1, PATIENCE).await;
    scene
        .database
        .execute("CREATE UNIQUE INDEX once ON email_worker.deliveries (recipient)")
        .await;
    let replayed = scene
        .dlq(&format!("replay {id} --json --wait 60s --queue {MAILS}"))
        .await
        .ends(1);
    assert_eq!(replayed.effects(), ["dead_again"], "{}", replayed.output);
    let letters = scene
        .dlq(&format!("list --json --queue {MAILS}"))
        .await
        .ends(0)
        .objects();
    assert_eq!(
        (&letters[0]["id"], &letters[0]["attempts"]),
        (&json!(id), &json!(3)),
        "{letters:?}"
    );

    scene.database.execute("DROP INDEX email_worker.once").await;
    let replayed = scene.dlq(&format!("replay {id} --json --wait 60s")).await.ends(0);
    assert_eq!(replayed.effects(), ["done"]);
    scene.smtp.wait_for(2, PATIENCE).await;
    scene.are_dead(MAILS, 0).await;
    scene.are_dead(GATEWAY, 0).await;
    drop(worker);
}

/// Takes the message as often as the broker lets it, and gives it back as a consumer that died.
async fn kill_consumers(scene: &Scene) {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = scene.name(MAILS);
    for _ in 0..DELIVERIES {
        let message = eventually(PATIENCE, async || {
            channel
                .basic_get(queue.as_str().into(), BasicGetOptions::default())
                .await
                .unwrap()
        });
        let message = message.await;
        message
            .acker
            .reject(BasicRejectOptions { requeue: true })
            .await
            .unwrap();
    }
    connection.close(200, "done".into()).await.unwrap();
}
