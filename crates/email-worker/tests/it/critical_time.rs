//! From a sign-up to the mail that the server took: how long it was, and what does not count.

use test_support::{Answer, Stage, eventually};

use crate::world::{SOON, Worker, World, sign_up};

/// A series of `waypost_critical_time_seconds`, by its end and words of its labels.
async fn series(worker: &Worker, end: &str, labels: &[&str]) -> Option<u64> {
    let (_, metrics) = worker.get("/metrics").await;
    let name = format!("waypost_critical_time_seconds_{end}{{");
    let mut lines = metrics.lines().filter(|line| line.starts_with(&name));
    let line = lines.find(|line| labels.iter().all(|label| line.contains(label)))?;
    line.rsplit(' ').next()?.parse().ok()
}

const MAIL: &str = "type=\"mail.welcome\"";
const EVENT: &str = "type=\"user.registered.v1\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_counts_from_its_event_once_it_is_taken_and_not_when_it_is_refused() {
    let world = World::production().await;
    let worker = world.worker().await;
    // There from the start, so that a mail that never goes is seen as one.
    assert_eq!(series(&worker, "count", &[MAIL]).await, Some(0));
    assert_eq!(series(&worker, "count", &[EVENT]).await, Some(0));

    // By its id the event is of now, by its time of 1970: the mail goes by the one, the intake by the other.
    let event = sign_up("ann@example.org", "Ann", "en");
    world.publish(&event).await;
    eventually(SOON, async || series(&worker, "count", &[MAIL]).await == Some(1)).await;
    assert_eq!(series(&worker, "bucket", &[MAIL, "le=\"300.0\""]).await, Some(1));
    eventually(SOON, async || series(&worker, "count", &[EVENT]).await == Some(1)).await;
    assert_eq!(series(&worker, "bucket", &[EVENT, "le=\"86400.0\""]).await, Some(0));

    // A copy has no effect, and a mail that is refused none that anybody waited for.
    world.publish(&event).await;
    world.smtp.always(Stage::Recipient, Answer::say(550, "5.1.1 nobody"));
    world.publish(&sign_up("bob@example.org", "Bob", "en")).await;
    eventually(SOON, async || {
        let rows = world.deliveries().await;
        rows.iter().any(|row| row.status == "failed") && worker.acknowledged().await == 3
    })
    .await;
    assert_eq!(series(&worker, "count", &[EVENT]).await, Some(2));
    assert_eq!(series(&worker, "count", &[MAIL]).await, Some(1));
    worker.stop().await;
}
