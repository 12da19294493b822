//! Two replicas over one Redis: a rate that holds for both, and a note about a destination that is out.

use std::time::{Duration, Instant};

use common::config::Service;
use common::outbound::{Destination, Outbound, OutboundClient, OutboundError, Rate, Refusal};
use common::process::{State, Tasks};
use common::resilience::Breakers;
use common::store::{Store, Timeouts};
use common::telemetry::Metrics;
use test_support::redis_url;
use uuid::Uuid;

use crate::scripted_server::{Reply, ScriptedServer, ok, status};

const PATIENT: Timeouts = Timeouts {
    response: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

struct Replicas {
    clients: [OutboundClient; 2],
    server: ScriptedServer,
    _tasks: Tasks,
}

async fn replicas(destination: &Destination, script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Replicas {
    let tasks = Tasks::new(Service::NotificationGateway);
    let server = ScriptedServer::start(&tasks, script).await;
    let prefix = format!("test-{}", Uuid::now_v7());
    let client = async || {
        let store = Store::open(&redis_url(), &prefix, PATIENT, &tasks).unwrap();
        assert!(store.connected(Duration::from_secs(20)).await);
        let outbound = Outbound {
            metrics: Metrics::new(Service::NotificationGateway),
            store,
            breakers: Breakers::default(),
        };
        outbound.client(destination).unwrap()
    };
    Replicas {
        clients: [client().await, client().await],
        server,
        _tasks: tasks,
    }
}

fn destination() -> Destination {
    Destination {
        retries: 0,
        ..Destination::new("test", Duration::from_secs(8), Duration::from_secs(2))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn together_they_call_no_faster_than_the_rate() {
    let even = Destination {
        rate: Some(Rate::Even(20.0)),
        ..destination()
    };
    let replicas = replicas(&even, |_| ok("there")).await;
    let calls = (0..40).map(|n| replicas.clients[n % 2].get(replicas.server.url.clone()));
    let outcomes = futures_util::future::join_all(calls).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let mut seen: Vec<Instant> = replicas.server.seen().iter().map(|request| request.at).collect();
    seen.sort_unstable();
    // Each leaves at its turn or later, and so the last one 39 turns after the first; on their way they may bunch.
    let took = seen[39] - seen[0];
    assert!(took >= Duration::from_millis(1_850), "40 calls at 20/s within {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_makes_two_failures_enough_for_the_other_replica() {
    let replicas = replicas(&destination(), |_| status("503 Service Unavailable")).await;
    let [first, second] = &replicas.clients;
    let url = &replicas.server.url;
    while first.state() != State::Down {
        let _ = first.get(url.clone()).await;
    }
    assert_eq!(second.state(), State::Up, "a note alone opens nothing");
    let mut failures = 0;
    while second.state() != State::Down {
        let error = second.get(url.clone()).await.unwrap_err();
        assert!(matches!(error, OutboundError::Status { status: 503, .. }), "{error:?}");
        failures += 1;
    }
    assert_eq!(failures, 2);
    let error = second.get(url.clone()).await.unwrap_err();
    let OutboundError::Unavailable { refusal, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(refusal, Refusal::BreakerOpen);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_note_two_failures_are_not_enough() {
    let replicas = replicas(&destination(), |_| status("503 Service Unavailable")).await;
    for _ in 0..2 {
        for client in &replicas.clients {
            assert!(client.get(replicas.server.url.clone()).await.is_err());
        }
    }
    let states: Vec<_> = replicas.clients.iter().map(OutboundClient::state).collect();
    assert_eq!(states, [State::Up, State::Up]);
}
