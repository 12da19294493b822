//! What those who run the gateway see of deliveries, and have it do: breakers, deliveries, journeys.

use common::process::State;
use reqwest::Method;
use serde_json::{Value, json};

use test_support::eventually;

use crate::app::{Backend, DEADLINE, TestApp, email_sent, on_both_databases};
use crate::provider::Mood;

const PHONE: &str = "+15550123";
const TOKEN: &str = "correct-horse-battery";

on_both_databases!(
    a_provider_that_is_forced_out_gets_nothing_until_it_is_on_again,
    each_exchange_with_a_provider_is_kept_with_its_answer_and_without_the_message,
    one_that_is_let_through_goes_before_the_pause_that_the_provider_asked_for_is_over,
    a_person_s_journey_shows_what_was_taken_in_and_what_was_sent,
);

async fn set(app: &TestApp, mode: &str) {
    let body = json!({"mode": mode, "reason": "the provider asked us to stop"});
    let request = app
        .operations(Method::PUT, "/operations/breakers/sms")
        .bearer_auth(TOKEN);
    assert_eq!(app.send(request.json(&body)).await, (204, Value::Null));
}

async fn a_provider_that_is_forced_out_gets_nothing_until_it_is_on_again(mut backend: Backend) {
    backend.settings.operations.token = TOKEN.into();
    let app = TestApp::start(&backend).await;
    let list = app.operations(Method::GET, "/operations/breakers").bearer_auth(TOKEN);
    let (_, list) = app.send(list).await;
    let known: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["destination"])
        .collect();
    assert!(
        known.contains(&&"sms".into()) && known.contains(&&"jwks".into()),
        "{list}"
    );

    set(&app, "forced_open").await;
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let waits = |delivery: &Value| delivery["status"] == "pending" && !delivery["last_error"].is_null();
    let delivery = app.delivery(user, "sms", waits).await;
    assert_eq!(delivery["attempts"], 0, "{delivery}");
    assert!(app.provider.calls().is_empty());
    let (status, body) = app.readyz().await;
    assert_eq!((status, &body["dependencies"]["sms"]), (200, &json!(State::Down)));

    set(&app, "on").await;
    let delivery = app
        .delivery(user, "sms", |delivery| delivery["status"] == "accepted")
        .await;
    assert_eq!((&delivery["attempts"], app.provider.calls().len()), (&1.into(), 1));
}

async fn operate(app: &TestApp, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = app
        .operations(method, &format!("/operations/{path}"))
        .bearer_auth(TOKEN);
    if let Some(body) = body {
        request = request.json(&body);
    }
    app.send(request).await
}

/// The one delivery of a person over a channel, once it is as a test waits for.
async fn operated(app: &TestApp, query: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(DEADLINE, || async {
        let (status, list) = operate(app, Method::GET, &format!("deliveries?{query}"), None).await;
        assert_eq!(status, 200, "{list}");
        let found = list["items"].as_array().unwrap().first().cloned();
        found.filter(|delivery| holds(delivery))
    })
    .await
}

async fn each_exchange_with_a_provider_is_kept_with_its_answer_and_without_the_message(mut backend: Backend) {
    backend.settings.operations.token = TOKEN.into();
    let app = TestApp::start(&backend).await;
    app.sign_up(Some(PHONE)).await;
    eventually(DEADLINE, || async { app.provider.calls().len() == 1 }).await;
    let text = app.provider.calls()[0].field("Body").to_owned();

    let body = json!({"code": 20003, "message": "Authenticate", "body": text}).to_string();
    app.provider.is(Mood::Answers(401, None, body.leak()));
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let query = format!("recipient={user}&channel=sms&destination=sms");
    let delivery = operated(&app, &query, |one| {
        one["attempts"].as_array().is_some_and(|all| !all.is_empty())
    })
    .await;
    let first = &delivery["attempts"][0];
    assert_eq!(
        (&first["provider"], &first["status"]),
        (&"sms".into(), &"failed".into())
    );
    assert_eq!(first["reason"], "HTTP 401, code 20003");
    let answer = first["answer"].as_str().unwrap();
    assert!(
        answer.starts_with("HTTP 401\n{") && answer.contains("Authenticate"),
        "{answer}"
    );
    assert!(answer.contains("[cut]") && !answer.contains(&text), "{answer}");
    assert!(first["next_attempt_at"].is_string());

    // Where nobody else takes it, a call has tries of its own: each is one.
    app.provider.is(Mood::Answers(503, None, "out of order"));
    let of_one_try = |delivery: &Value| {
        let attempts = delivery["attempts"].as_array().unwrap();
        let failed = attempts.iter().filter(|one| one["answer"] == "HTTP 503\nout of order");
        let of_tries: Vec<_> = failed.map(|one| one["attempt"].as_i64()).collect();
        of_tries.windows(2).any(|two| two[0] == two[1])
    };
    operated(&app, &query, of_one_try).await;
    app.provider.is(Mood::Accepts);
    let delivery = operated(&app, &query, |one| one["status"] == "accepted").await;
    let last = delivery["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!(last["status"], "accepted");
    assert!(last["answer"].as_str().unwrap().starts_with("HTTP 201\n{"), "{last}");
}

async fn one_that_is_let_through_goes_before_the_pause_that_the_provider_asked_for_is_over(mut backend: Backend) {
    backend.settings.operations.token = TOKEN.into();
    let app = TestApp::start(&backend).await;
    // Longer than the test waits for anything.
    app.provider.is(Mood::Answers(429, Some("60"), r#"{"code": 20429}"#));
    let user = app.sign_up(Some(PHONE)).await.data.person.user_id;
    let query = format!("recipient={user}&channel=sms");
    let is_asked_to_wait = |one: &Value| one["status"] == "pending" && !one["last_error"].is_null();
    let delivery = operated(&app, &query, is_asked_to_wait).await;
    app.provider.is(Mood::Accepts);
    let path = format!("deliveries/{}/retry-now", delivery["id"].as_str().unwrap());
    let (status, _) = operate(&app, Method::POST, &path, Some(json!({"reason": "they say it works"}))).await;
    assert_eq!(status, 202);
    operated(&app, &query, |one| one["status"] == "accepted").await;
}

async fn a_person_s_journey_shows_what_was_taken_in_and_what_was_sent(mut backend: Backend) {
    backend.settings.operations.token = TOKEN.into();
    let app = TestApp::start(&backend).await;
    let event = app.sign_up(Some(PHONE)).await;
    let sent = email_sent(&event);
    app.publish(common::config::Service::EmailWorker, &sent).await;
    let user = event.data.person.user_id;
    let sms = operated(&app, &format!("recipient={user}&channel=sms"), |one| {
        one["status"] == "accepted"
    })
    .await;
    for key in [user, event.id] {
        let (_, journey) = operate(&app, Method::GET, &format!("journey?key={key}"), None).await;
        let deliveries = journey["deliveries"].as_array().unwrap();
        let mut channels: Vec<_> = deliveries.iter().map(|one| one["channel"].as_str().unwrap()).collect();
        channels.sort_unstable();
        assert_eq!(channels, ["email", "in_app", "sms"]);
        let taken = &journey["events"][0];
        assert_eq!(
            (&taken["id"], &taken["type"]),
            (&json!(event.id), &"user.registered.v1".into())
        );
        let known_as = if key == user {
            json!([user, "ada@example.com", PHONE])
        } else {
            json!([])
        };
        assert_eq!(journey["known_as"], known_as);
    }
    // What email-worker sent is not the gateway's to send once more.
    let mail = operated(&app, &format!("recipient={user}&channel=email"), |_| true).await;
    for (delivery, status) in [(mail, 409), (sms, 202)] {
        let path = format!("deliveries/{}/resend", delivery["id"].as_str().unwrap());
        let order = Some(json!({"reason": "the phone was off"}));
        assert_eq!(operate(&app, Method::POST, &path, order).await.0, status);
    }
    eventually(DEADLINE, || async { app.provider.calls().len() == 2 }).await;
    let keys: Vec<_> = app
        .provider
        .calls()
        .iter()
        .map(|call| call.header("idempotency-key").to_owned())
        .collect();
    assert_ne!(keys[0], keys[1], "a provider would take it for the same one");
}
