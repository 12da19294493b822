//! Several nodes of a broker in one URL, of which some refuse or say nothing.

use common::process::State;
use test_support::{Fault, FaultProxy, amqp_url, eventually};
use tokio::time::Instant;
use url::Url;

use super::fixture::{Fixture, SOON, outbound, someone};

#[tokio::test]
async fn of_several_nodes_one_that_answers_is_used_and_named_whatever_the_others_do() {
    let shared = Url::parse(&amqp_url()).unwrap();
    let [closed, silent, good] = [
        FaultProxy::before(shared.as_str()).await,
        FaultProxy::before(shared.as_str()).await,
        FaultProxy::before(shared.as_str()).await,
    ];
    closed.set(Fault::Refuse).await;
    silent.set(Fault::BlackHole).await;
    let places = [&closed, &silent, &good].map(|proxy| proxy.address().to_string());
    let (user, password) = (shared.username(), shared.password().unwrap_or_default());
    let url = format!("amqp://{user}:{password}@{}{}", places.join(","), shared.path());

    let began = Instant::now();
    let fixture = Fixture::shared_through(&url).await;
    let [closed_at, silent_at, good_at] = places;
    is_up_over(&fixture, &good_at).await;
    println!(
        "connected {:?} after the start, past two nodes that do not answer",
        began.elapsed()
    );
    fixture.broker.publish(outbound(&someone())).await.unwrap();
    let mut away = vec![closed_at.clone(), silent_at.clone()];
    away.sort_unstable();
    assert_eq!(fixture.broker.nodes_away().await, away);

    closed.set(Fault::Pass).await;
    good.set(Fault::Refuse).await;
    let gone = Instant::now();
    is_up_over(&fixture, &closed_at).await;
    println!("connected {:?} after the node in use was gone", gone.elapsed());
    fixture.broker.publish(outbound(&someone())).await.unwrap();
    fixture.end().await;
}

async fn is_up_over(fixture: &Fixture, place: &str) {
    eventually(SOON, async || {
        let finding = fixture.broker.finding();
        finding.state == State::Up && finding.node.as_deref() == Some(place)
    })
    .await;
}
