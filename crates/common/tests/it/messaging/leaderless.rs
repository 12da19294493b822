//! A queue that has lost its leader for good, as RabbitMQ 3.10 can have it: it is named, with the cure, and after the
//! cure all goes on by itself.

use std::time::Duration;

use common::process::State;
use contracts::topology::{EMAIL_WORKER_EVENTS, GATEWAY_EVENTS};
use test_support::{PrivateRabbit, eventually};
use tokio::time::sleep;

use super::effects::{Effects, LONG, each_has_one_effect, make_table, write};
use super::fixture::{Fixture, Store, done, email_sent, outbound, someone};

#[tokio::test]
async fn a_queue_without_a_leader_is_named_with_its_cure_and_all_goes_on_after_it() {
    let mut rabbit = PrivateRabbit::start().await;
    let (fixture, store) = (Fixture::private(&rabbit.url()).await, Store::sqlite().await);
    make_table(&store).await;
    fixture.consume_into(&store, EMAIL_WORKER_EVENTS, Effects);
    let others = fixture.consume(GATEWAY_EVENTS, |_| done());
    let changes = fixture.relay(&store);
    fixture.is_up().await;
    let mut ids = write(&changes, 5).await;
    each_has_one_effect(&store, &ids).await;
    let (doctor, tasks) = fixture.neighbour();
    eventually(LONG, async || doctor.state() == State::Up).await;
    assert_eq!(doctor.queues_without_leader().await, None);
    // A queue younger than a second may lose itself with its node.
    sleep(Duration::from_secs(2)).await;

    let queue = fixture.name(EMAIL_WORKER_EVENTS.name);
    rabbit
        .control(&["eval", "supervisor:terminate_child(rabbit_sup, rabbit_fifo_dlx_sup)."])
        .await;
    let kill = format!("exit(whereis(list_to_atom(\"%2F_{queue}\")), kill).");
    rabbit.control(&["eval", &kill]).await;

    let names_it =
        |cure: Option<String>| cure.is_some_and(|cure| cure.contains(&format!("no leader: {queue}; restart")));
    eventually(LONG, async || {
        let finding = fixture.broker.finding();
        finding.state == State::Degraded && names_it(finding.cure.map(Into::into))
    })
    .await;
    assert!(
        names_it(doctor.queues_without_leader().await),
        "whoever is no consumer of it finds it too"
    );
    ids.extend(write(&changes, 20).await);
    let taken = fixture.broker.publish(outbound(&someone())).await;
    assert!(taken.is_err(), "it has no leader that could keep it");
    let other = outbound(&email_sent());
    eventually(LONG, async || fixture.broker.publish(other.clone()).await.is_ok()).await;
    eventually(LONG, async || others.ids().contains(&other.id())).await;

    rabbit.restart().await;
    each_has_one_effect(&store, &ids).await;
    eventually(LONG, async || {
        let finding = fixture.broker.finding();
        finding.state == State::Up && finding.cure.is_none()
    })
    .await;
    assert_eq!(doctor.queues_without_leader().await, None);
    tasks.stopping().cancel();
    fixture.end().await;
}
