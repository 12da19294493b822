//! One answer is lost on the way, the connection left open, as by a host that is gone.

use std::time::{Duration, Instant};

use common::config::Service;
use reqwest::Method;
use serde_json::json;
use test_support::FaultProxy;
use uuid::Uuid;

use crate::app::{Backend, DEADLINE, FIRST, TestApp, registered};
use crate::provider::{Mood, Provider};

/// The deadline of 2.5 s, and what a busy machine adds.
const ANSWERED: Duration = Duration::from_secs(6);
const PHONE: &str = "+15550123";

#[actix_web::test]
async fn a_request_whose_statement_loses_its_answer_is_told_so_and_others_go_on() {
    let one = format!("/v1/notifications/{}", Uuid::now_v7());
    for (text, method, path) in [
        ("FROM \"notifications\"", Method::GET, "/v1/notifications"),
        ("FROM \"notifications\"", Method::GET, "/v1/notifications/stream"),
        ("FROM \"notifications\"", Method::GET, one.as_str()),
        ("BEGIN", Method::POST, "/v1/notifications/read-all"),
        ("COMMIT", Method::POST, "/v1/notifications/read-all"),
    ] {
        let (way, backend) = Backend::by_proxy().await;
        let app = TestApp::start(&backend).await;
        let user = Uuid::now_v7();
        way.lose_answer_to(text);
        let losing = async {
            let began = Instant::now();
            let request = app.request(method, path).bearer_auth(FIRST.token(user, 60));
            (app.send(request).await, began.elapsed())
        };
        let others = async {
            until(|| way.has_lost_it()).await;
            let began = Instant::now();
            assert_eq!(app.get(user, "/v1/notifications/unread-count").await.0, 200, "{text}");
            began.elapsed()
        };
        let (((status, problem), took), others) = futures_util::future::join(losing, others).await;
        println!("{path}, {text}: {status} after {took:?}; another request took {others:?}");
        assert_eq!(
            (status, &problem["type"]),
            (503, &"/problems/unavailable".into()),
            "{path}, {text}"
        );
        assert!(took < ANSWERED && others < took, "{path}, {text}: {took:?}, {others:?}");
    }
}

#[actix_web::test]
async fn a_message_whose_answer_is_lost_goes_out_again_under_its_key_and_others_go_on() {
    let backend = Backend::sqlite().await;
    let (way, app) = by_bad_way(&backend).await;
    way.lose_answer_to("%2B15550123");
    let lost = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let others: Vec<Uuid> = (0..10).map(|_| Uuid::now_v7()).collect();
    for (n, user) in others.iter().enumerate() {
        let phone = format!("+1555020{n}");
        app.publish(Service::UserApi, &registered(*user, Some(&phone))).await;
    }
    let accepted = |delivery: &serde_json::Value| delivery["status"] == "accepted";
    for user in others {
        let delivery = app.delivery(user, "sms", accepted).await;
        assert_eq!(delivery["attempts"], json!(1), "{delivery}");
    }
    let delivery = app.delivery(lost, "sms", accepted).await;
    assert!(way.has_lost_it());
    let calls = app.provider.calls();
    let keys: Vec<&str> = calls
        .iter()
        .filter(|call| call.field("To") == PHONE)
        .map(|call| call.header("idempotency-key"))
        .collect();
    assert_eq!(keys, [delivery["id"].as_str().unwrap(); 2]);
}

#[actix_web::test]
async fn a_lost_answer_does_not_hold_the_end_up() {
    let mut backend = Backend::sqlite().await;
    // As in production, where a provider has longer than the end of a process takes.
    backend.settings.own.providers.sms.try_timeout = Duration::from_secs(5);
    backend.settings.own.providers.sms.call_timeout = Duration::from_secs(12);
    backend.settings.process.drain = Duration::from_secs(4);
    let app = TestApp::start(&backend).await;
    app.provider.is(Mood::Hangs);
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    until(|| !app.provider.calls().is_empty()).await;
    let began = Instant::now();
    let ended = app.tasks.shut_down(Duration::from_secs(5)).await;
    println!("ended {:?} after the signal", began.elapsed());
    assert!(ended.is_ok(), "{ended:?}");
    app.provider.is(Mood::Accepts);
    let again = TestApp::beside(&backend, app.provider.clone()).await;
    let delivery = again
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    let calls = again.provider.calls();
    let key = delivery["id"].as_str().unwrap();
    assert!(calls.iter().all(|call| call.header("idempotency-key") == key));
}

async fn by_bad_way(backend: &Backend) -> (FaultProxy, TestApp) {
    let provider = Provider::start();
    provider.publishes(vec![FIRST.public()]);
    let way = FaultProxy::start(provider.address.to_string()).await;
    let app = TestApp::by_way_of(way.address(), backend, provider).await;
    (way, app)
}

async fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
