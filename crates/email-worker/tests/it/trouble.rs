use std::time::Duration;

use test_support::{Answer, Fault, FaultProxy, Stage, eventually};

use crate::world::{SOON, World, sign_up};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_costs_no_attempt_and_the_mail_leaves_when_it_is_back() {
    let mut world = World::production().await;
    let proxy = FaultProxy::start(world.smtp.address().to_string()).await;
    proxy.set(Fault::Refuse).await;
    world.settings.mail.url = format!("smtp://{}", proxy.address()).into();
    let worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    eventually(SOON, || async {
        let (status, body) = worker.get("/readyz").await;
        status == 200 && body.contains("\"mail\":\"down\"") && body.contains("\"status\":\"degraded\"")
    })
    .await;

    proxy.set(Fault::Pass).await;
    let row = world.delivery("accepted").await;
    assert_eq!(row.attempts, 1);
    assert_eq!(worker.get("/readyz").await.0, 200);
    assert!(worker.get("/readyz").await.1.contains("\"mail\":\"up\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rested_connection_that_broke_is_replaced_without_a_failed_try() {
    let mut world = World::production().await;
    let proxy = FaultProxy::start(world.smtp.address().to_string()).await;
    world.settings.mail.url = format!("smtp://{}", proxy.address()).into();
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    world.delivery("accepted").await;
    // Cuts the connection that rests.
    proxy.set(Fault::Refuse).await;
    proxy.set(Fault::Pass).await;

    world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
    world.smtp.wait_for(2, SOON).await;
    eventually(SOON, || async {
        let rows = world.deliveries().await;
        rows.len() == 2 && rows.iter().all(|row| row.status == "accepted" && row.attempts == 1)
    })
    .await;
    assert_eq!(world.smtp.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_text_is_the_one_case_of_a_second_copy_and_it_has_the_same_id() {
    let world = World::production().await;
    world.smtp.script(Stage::Text, [Answer::close()]);
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;

    let row = world.delivery("accepted").await;
    assert_eq!(row.attempts, 2);
    let mails = world.smtp.mails_to("ann@example.org");
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].data, mails[1].data);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_finishes_the_mail_in_hand() {
    let world = World::production().await;
    let slow = Answer::say(250, "fine").after(Duration::from_millis(1500));
    world.smtp.script(
        Stage::Data,
        [Answer::say(354, "go on").after(Duration::from_millis(1500))],
    );
    world.smtp.script(Stage::Text, [slow]);
    let worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    world.delivery("sending").await;

    worker.stop().await;
    assert_eq!(world.delivery("accepted").await.attempts, 1);
    assert_eq!(world.smtp.per_recipient()["ann@example.org"], 1);
}
