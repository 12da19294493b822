use test_support::{Answer, Stage};

use crate::world::{SOON, World, sign_up};

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_refusal_is_tried_again_over_the_same_connection() {
    let world = World::production().await;
    world.smtp.script(
        Stage::Recipient,
        [Answer::say(451, "4.7.1 greylisted, ann@example.org")],
    );
    world.smtp.script(Stage::Text, [Answer::say(452, "no room")]);
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;

    let row = world.delivery("accepted").await;
    assert_eq!(row.attempts, 3);
    assert_eq!(world.smtp.per_recipient()["ann@example.org"], 1);
    assert_eq!(world.smtp.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_fails_once_and_repeats_no_address() {
    let world = World::production().await;
    world
        .smtp
        .always(Stage::Recipient, Answer::say(550, "5.1.1 <ann@example.org> unknown"));
    let _worker = world.worker().await;
    world.publish(&sign_up("ann@example.org", "Ann", "en")).await;

    let row = world.delivery("failed").await;
    assert_eq!((row.attempts, row.reason.as_deref()), (1, Some("rejected")));
    assert_eq!(row.last_error.as_deref(), Some("550 5.1.1 at RCPT TO"));
    // The worker goes on with the next mail.
    world.smtp.always(Stage::Recipient, None);
    world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
    world.smtp.wait_for(1, SOON).await;
    assert!(world.smtp.mails_to("ann@example.org").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_fails_without_asking_the_server() {
    let world = World::embedded().await;
    let _worker = world.worker().await;
    world
        .publish(&sign_up("ann@example.org>\r\nRCPT TO:<eve@example.org", "Ann", "en"))
        .await;
    let row = world.delivery("failed").await;
    assert_eq!(row.reason.as_deref(), Some("rejected"));
    assert_eq!(world.smtp.connections(), 0);
}
