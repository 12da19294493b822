//! What those who run the gateway have it do: its breakers.

use common::process::State;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp, on_both_databases};

const PHONE: &str = "+15550123";
const TOKEN: &str = "correct-horse-battery";

on_both_databases!(a_provider_that_is_forced_out_gets_nothing_until_it_is_on_again);

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
