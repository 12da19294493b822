use std::time::{Duration, Instant};

use common::http::keys::Jwk;
use reqwest::Method;
use test_support::{Fault, FaultProxy, eventually};
use uuid::Uuid;

use crate::app::{Backend, DEADLINE, FIRST, SECOND, TestApp};
use crate::provider::Provider;

async fn status(app: &TestApp, token: &str) -> u16 {
    app.send(app.request(Method::GET, "/v1/notifications").bearer_auth(token))
        .await
        .0
}

/// Waits until a good token is taken. On a busy machine the keys are read a moment after the start.
async fn keys_are_known(app: &TestApp, user: Uuid) {
    eventually(DEADLINE, async || status(app, &FIRST.token(user, 60)).await == 200).await;
}

#[actix_web::test]
async fn without_a_good_token_nothing_is_shown() {
    let app = TestApp::start(&Backend::sqlite().await).await;
    let user = Uuid::now_v7();
    for path in [
        "/v1/notifications",
        "/v1/notifications/stream",
        "/v1/notifications/unread-count",
    ] {
        let (status, problem) = app.send(app.request(Method::GET, path)).await;
        assert_eq!(
            (status, &problem["type"]),
            (401, &"/problems/unauthorized".into()),
            "{path}"
        );
    }
    keys_are_known(&app, user).await;
    assert_eq!(status(&app, &FIRST.token(user, -120)).await, 401, "expired");
    assert_eq!(status(&app, &SECOND.token(user, 60)).await, 401, "an unknown key");
    assert_eq!(status(&app, "nonsense").await, 401);
    let in_query = format!("/v1/notifications?access_token={}", FIRST.token(user, 60));
    assert_eq!(
        app.send(app.request(Method::GET, &in_query)).await.0,
        401,
        "only a stream takes it there"
    );
}

#[actix_web::test]
async fn a_new_key_is_looked_for_when_a_token_names_it() {
    let app = TestApp::start(&Backend::sqlite().await).await;
    let user = Uuid::now_v7();
    keys_are_known(&app, user).await;
    app.provider.publishes(vec![FIRST.public(), SECOND.public()]);
    let deadline = Instant::now() + DEADLINE;
    while status(&app, &SECOND.token(user, 60)).await != 200 {
        assert!(Instant::now() < deadline, "the new key was not found");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[actix_web::test]
async fn keys_of_other_kinds_are_passed_over_and_a_set_of_them_alone_changes_nothing() {
    let rsa: Jwk = serde_json::from_str(r#"{"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"}"#).unwrap();
    let provider = Provider::start();
    provider.publishes(vec![rsa.clone(), FIRST.public()]);
    let app = TestApp::beside(&Backend::sqlite().await, provider).await;
    let user = Uuid::now_v7();
    keys_are_known(&app, user).await;
    app.provider.publishes(vec![rsa]);
    let deadline = Instant::now() + DEADLINE;
    while app.readyz().await.1["dependencies"]["jwks"] != "degraded" {
        assert_eq!(status(&app, &SECOND.token(user, 60)).await, 401);
        assert!(Instant::now() < deadline, "the new set was not looked at");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status(&app, &FIRST.token(user, 60)).await, 200);
}

#[actix_web::test]
async fn known_keys_stay_in_use_when_their_source_is_away() {
    let app = TestApp::start(&Backend::sqlite().await).await;
    let user = Uuid::now_v7();
    keys_are_known(&app, user).await;
    app.provider.goes_away().await;
    let deadline = Instant::now() + DEADLINE;
    loop {
        // A token with an unknown key makes the gateway look for it, in vain.
        assert_eq!(status(&app, &SECOND.token(user, 60)).await, 401);
        assert_eq!(status(&app, &FIRST.token(user, 60)).await, 200);
        let (ready, body) = app.readyz().await;
        // On a busy machine another dependency may be late, and the gateway not ready for its sake.
        assert_ne!(body["dependencies"]["jwks"], "down", "{body}");
        if ready == 200 && body["dependencies"]["jwks"] == "degraded" {
            assert_eq!(body["status"], "degraded");
            return;
        }
        assert!(Instant::now() < deadline, "{body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[actix_web::test]
async fn without_any_key_the_answer_is_to_come_back_later() {
    let provider = Provider::start();
    let app = TestApp::beside(&Backend::sqlite().await, provider).await;
    let request = app
        .request(Method::GET, "/v1/notifications")
        .bearer_auth(FIRST.token(Uuid::now_v7(), 60));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    app.provider.publishes(vec![FIRST.public()]);
    let deadline = Instant::now() + DEADLINE;
    while status(&app, &FIRST.token(Uuid::now_v7(), 60)).await != 200 {
        assert!(Instant::now() < deadline, "the keys were not found");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[actix_web::test]
async fn a_good_token_is_taken_within_five_seconds_of_its_keys_being_there() {
    /// Long enough for a breaker that doubles its time to rest for ten seconds from here.
    const AWAY: Duration = Duration::from_secs(12);
    let provider = Provider::start();
    provider.publishes(vec![FIRST.public()]);
    let way = FaultProxy::start(provider.address.to_string()).await;
    for fault in [Fault::Refuse, Fault::BlackHole] {
        way.set(fault).await;
        let app = TestApp::by_way_of(way.address(), &Backend::sqlite().await, provider.clone()).await;
        let away = Instant::now();
        while away.elapsed() < AWAY {
            assert_eq!(status(&app, &FIRST.token(Uuid::now_v7(), 60)).await, 503);
        }
        way.set(Fault::Pass).await;
        let back = Instant::now();
        while status(&app, &FIRST.token(Uuid::now_v7(), 60)).await != 200 {
            assert!(back.elapsed() < Duration::from_secs(5), "{fault:?}: it is not taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!(
            "{fault:?} for {AWAY:?}: taken {:?} after the keys' return",
            back.elapsed()
        );
    }
}

#[actix_web::test]
async fn a_stranger_is_told_nothing_about_the_query() {
    let app = TestApp::start(&Backend::sqlite().await).await;
    let path = "/v1/notifications?limit=0";
    // Good, with a key that is looked for first; and of the wrong form.
    for token in [SECOND.token(Uuid::now_v7(), 60), "nonsense".to_owned()] {
        let request = app.request(Method::GET, path).bearer_auth(token);
        assert_eq!(app.send(request).await.0, 401);
    }
    assert_eq!(app.get(Uuid::now_v7(), path).await.0, 422);
}
