use std::time::{Duration, Instant};

use test_support::{Answer, Fault, FaultProxy, Stage, eventually};

use crate::world::{SOON, World, sign_up};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_costs_no_attempt_and_the_mail_leaves_when_it_is_back() {
    let mut world = World::production().await;
    let proxy = FaultProxy::start(world.smtp.address().to_string()).await;
    proxy.set(Fault::Refuse).await;
    world.settings.own.mail.url = format!("smtp://{}", proxy.address()).into();
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
    eventually(SOON, || async {
        let (status, body) = worker.get("/readyz").await;
        status == 200 && body.contains("\"mail\":\"up\"")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rested_connection_that_broke_is_replaced_without_a_failed_try() {
    let mut world = World::production().await;
    let proxy = FaultProxy::start(world.smtp.address().to_string()).await;
    world.settings.own.mail.url = format!("smtp://{}", proxy.address()).into();
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
    world.smtp.script(Stage::Text, [slow]);
    let worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    world.delivery("sending").await;
    eventually(AT_MOST, || async { world.smtp.texts() == 1 }).await;

    worker.stop().await;
    assert_eq!(world.delivery("accepted").await.attempts, 1);
    assert_eq!(world.smtp.per_recipient()["ann@example.org"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_hands_back_at_once_what_the_server_can_t_have_yet() {
    let world = World::production().await;
    let late = Answer::say(354, "go on").after(Duration::from_mins(1));
    world.smtp.script(Stage::Data, [late]);
    let worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;
    world.delivery("sending").await;

    worker.stop().await;
    let row = world.delivery("pending").await;
    assert_eq!((row.attempts, world.smtp.texts()), (0, 0));
}

/// Longest that other work may be held up by a reply that got lost, and that a worker takes to end.
const AT_MOST: Duration = Duration::from_secs(5);

/// Replies get lost, the connections stay open: other mails flow, and the worker ends when it is asked to.
#[expect(clippy::print_stdout, reason = "times are printed")]
async fn lost_replies(stage: Stage, count: usize) {
    let mut world = World::production().await;
    world.settings.process.drain = AT_MOST;
    world.smtp.script(stage, vec![Answer::nothing(); count]);
    let worker = world.worker().await;
    for number in 0..count {
        let address = format!("lost{number}@example.org");
        world.publish(&sign_up(&address, "Lost", "en")).await;
    }
    eventually(SOON, || async { world.smtp.silent() == count }).await;

    let others: Vec<String> = (0..10).map(|n| format!("p{n}@{}.example", n % 3)).collect();
    let others = [others, vec!["neighbour@example.org".to_owned()]].concat();
    let lost = Instant::now();
    for address in &others {
        world.publish(&sign_up(address, "Other", "en")).await;
    }
    eventually(AT_MOST, || async {
        let received = world.smtp.per_recipient();
        others.iter().all(|address| received.contains_key(address))
    })
    .await;
    let flowed = lost.elapsed();
    let asked = Instant::now();
    worker.stop().await;
    let ended = asked.elapsed();
    println!(
        "{count} lost at {stage:?}: {} other mails within {flowed:?}; the worker ended within {ended:?}",
        others.len()
    );
    assert!(ended < AT_MOST, "{ended:?}");

    let _worker = world.worker().await;
    eventually(SOON, || async {
        let rows = world.deliveries().await;
        rows.iter().all(|row| row.status == "accepted")
    })
    .await;
    let received = world.smtp.per_recipient();
    assert_eq!(received.len(), others.len() + count);
    for (address, copies) in received {
        // Nobody can know what became of a text whose reply got lost; the copy has the same id.
        let unknown = stage == Stage::Text && address.starts_with("lost");
        assert_eq!(copies, if unknown { 2 } else { 1 }, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_greeting_holds_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Connect, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_ehlo_holds_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Hello, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_mail_from_holds_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Sender, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_rcpt_to_holds_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Recipient, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_data_holds_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Data, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_the_text_holds_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Text, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_lost_replies_as_there_are_conversations_hold_up_no_other_mail_and_not_the_end() {
    lost_replies(Stage::Text, 8).await;
}
