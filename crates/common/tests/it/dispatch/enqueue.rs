//! What a delivery brings along from the event that asked for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Timestamp;
use common::config::Service;
use common::dispatch::{Delivery, DispatchOptions, NewDelivery, Reason, Status, enqueue, enqueue_last, orders};
use common::messaging::Changes;
use common::telemetry::TraceContext;
use opentelemetry::trace::TracerProvider;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;
use uuid::Uuid;

use super::fixture::{DEADLINE, Fixture, Scripted, accepted};
use crate::subscriber::subscribe;

on_both_databases!(
    one_event_makes_one_delivery,
    what_is_written_with_the_commit_is_as_any_other_delivery_and_there_once,
    a_delivery_for_later_leaves_within_a_second_of_its_time_and_not_before,
    of_those_for_later_the_cancelled_and_the_expired_are_not_sent,
    a_send_continues_the_trace_that_asked_for_it,
);

async fn one_event_makes_one_delivery(fixture: Fixture) {
    let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
    let again = NewDelivery {
        id: Uuid::now_v7(),
        ..new.clone()
    };
    let now = Timestamp::now();
    let changes = Changes::new(Service::EmailWorker, fixture.database.clone());
    let change = changes.begin().await.unwrap();
    assert_eq!(enqueue(change.tx(), new.clone(), now).await.unwrap(), Some(new.id));
    assert_eq!(enqueue(change.tx(), again, now).await.unwrap(), None);
    change.commit().await.unwrap();
    let sender = Scripted::accepting();
    let slow = DispatchOptions {
        poll: DEADLINE,
        ..fixture.options()
    };
    let running = fixture.start(&sender, slow);
    running.waker.wake();
    fixture.all_reach(&[new.id], Status::Accepted).await;
    running.stop().await;
    assert_eq!(sender.sent().len(), 1);
}

async fn what_is_written_with_the_commit_is_as_any_other_delivery_and_there_once(fixture: Fixture) {
    let asked = TraceContext::parse(
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        Some("a=b"),
    );
    let _context = asked.unwrap().to_context().attach();
    let now = Timestamp::now();
    let new = |recipient: &str| NewDelivery::new(Uuid::now_v7(), "test", recipient.to_owned(), "a".to_owned());
    let all_given = NewDelivery {
        provider: Some("first".to_owned()),
        payload: json!({"name": "D'Arcy \"张伟\"", "count": 3, "none": null}),
        deliver_at: Some(now + Duration::from_mins(1)),
        expires_at: Some(now + Duration::from_secs(90)),
        priority: -1,
        ..new("somebody")
    };
    let changes = Changes::new(Service::EmailWorker, fixture.database.clone());
    let mut change = changes.begin().await.unwrap();
    let mut pairs = Vec::new();
    for usual in [all_given, new("somebody else")] {
        let last = NewDelivery {
            id: Uuid::now_v7(),
            source_event_id: Uuid::now_v7(),
            ..usual.clone()
        };
        let again = NewDelivery {
            id: Uuid::now_v7(),
            ..last.clone()
        };
        pairs.push((usual.id, last.id));
        enqueue(change.tx(), usual, now).await.unwrap();
        enqueue_last(&mut change, &last, now);
        enqueue_last(&mut change, &again, now);
    }
    change.commit().await.unwrap();

    for (usual, last) in pairs {
        let (usual, last) = (fixture.row(usual).await, fixture.row(last).await);
        let expected = Delivery {
            id: last.id,
            source_event_id: last.source_event_id,
            ..usual
        };
        assert!(last == expected, "{last:?} is not {expected:?}");
    }
    fixture.until(|rows| rows.len() == 4).await;
}

async fn a_delivery_for_later_leaves_within_a_second_of_its_time_and_not_before(fixture: Fixture) {
    let now = Timestamp::now();
    let later = NewDelivery {
        deliver_at: Some(now + Duration::from_secs(3)),
        ..NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into())
    };
    enqueue(fixture.database.unguarded(), later.clone(), now).await.unwrap();
    let past = NewDelivery {
        deliver_at: Some(now - Duration::from_hours(1)),
        ..NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into())
    };
    enqueue(fixture.database.unguarded(), past.clone(), now).await.unwrap();
    let sent_at = Arc::new(Mutex::new(Vec::new()));
    let clock = Arc::clone(&sent_at);
    let sender = Scripted::new(move |delivery, _| {
        clock.lock().unwrap().push((delivery.id, Timestamp::now()));
        Box::pin(async { accepted("x") })
    });
    let running = fixture.start(&sender, DispatchOptions::new(&fixture.settings, &["test"]));
    fixture.all_reach(&[past.id, later.id], Status::Accepted).await;
    running.stop().await;
    let sent_at = sent_at.lock().unwrap().clone();
    assert_eq!(sent_at[0].0, past.id);
    let (id, at) = sent_at[1];
    assert_eq!((id, at >= later.deliver_at.unwrap()), (later.id, true));
    println!("left {:?} after its time", at.since(later.deliver_at.unwrap()));
}

async fn of_those_for_later_the_cancelled_and_the_expired_are_not_sent(fixture: Fixture) {
    let (connection, now) = (fixture.database.unguarded(), Timestamp::now());
    let mut ids = Vec::new();
    for lasts in [60_000, 60_000, 500] {
        let later = NewDelivery {
            deliver_at: Some(now + Duration::from_secs(1)),
            expires_at: Some(now + Duration::from_millis(lasts)),
            ..NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into())
        };
        ids.extend(enqueue(connection, later, now).await.unwrap());
    }
    let [sent, cancelled, expired] = ids[..] else {
        panic!("{ids:?}")
    };
    assert!(orders::cancel(connection, cancelled, Timestamp::now()).await.unwrap());
    let sender = Scripted::accepting();
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&[sent], Status::Accepted).await;
    fixture.all_reach(&[expired], Status::Expired).await;
    running.stop().await;
    assert_eq!(sender.sent(), [sent]);
    let row = fixture.row(cancelled).await;
    assert_eq!(
        (row.status, row.reason, row.attempts),
        (Status::Cancelled, Some(Reason::Cancelled), 0)
    );
}

async fn a_send_continues_the_trace_that_asked_for_it(fixture: Fixture) {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = subscribe(tracing_subscriber::registry().with(layer));
    let asked = TraceContext::parse(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None).unwrap();
    let ids = {
        let _context = asked.to_context().attach();
        let new = NewDelivery::new(Uuid::now_v7(), "test", "somebody".into(), "a".into());
        vec![
            enqueue(fixture.database.unguarded(), new, Timestamp::now())
                .await
                .unwrap()
                .unwrap(),
        ]
    };
    let seen = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&seen);
    let sender = Scripted::new(move |_, _| {
        let inside = Arc::clone(&inside);
        Box::pin(async move {
            *inside.lock().unwrap() = Some(TraceContext::current());
            accepted("x")
        })
    });
    let running = fixture.start(&sender, fixture.options());
    fixture.all_reach(&ids, Status::Accepted).await;
    running.stop().await;
    let seen = seen.lock().unwrap().clone().unwrap();
    assert_eq!(seen.trace_id(), asked.trace_id());
    assert_ne!(seen, asked, "the send has a span of its own");
}
