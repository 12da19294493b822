use reqwest::StatusCode;
use serde_json::Value;

use crate::Sandbox;

#[tokio::test]
async fn a_message_is_queued_as_twilio_says_it() {
    let sandbox = Sandbox::start();
    let response = sandbox.message().send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let message: Value = response.json().await.unwrap();
    assert_eq!(message["status"], "queued");
    assert_eq!(message["account_sid"], "AC1");
    assert_eq!(message["body"], "Hello & welcome");
    let sid = message["sid"].as_str().unwrap();
    assert!(sid.starts_with("SM") && sid.len() == 34, "{sid}");
}

#[tokio::test]
async fn what_twilio_would_never_take_is_refused_with_its_code() {
    let sandbox = Sandbox::start();
    let url = sandbox.url("/2010-04-01/Accounts/AC1/Messages.json");
    for (form, code) in [
        (vec![("From", "+15550000"), ("Body", "x")], 21604),
        (vec![("To", "+15551234567"), ("Body", "x")], 21603),
        (vec![("To", "+15551234567"), ("From", "+15550000")], 21602),
        (vec![("To", "5551234567"), ("From", "+15550000"), ("Body", "x")], 21211),
    ] {
        let response = sandbox.client.post(&url).form(&form).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.json::<Value>().await.unwrap()["code"], code);
    }
}

#[tokio::test]
async fn the_other_providers_answer_in_their_own_forms() {
    let sandbox = Sandbox::start();
    let push = sandbox
        .client
        .post(sandbox.url("/v1/projects/p/messages:send"))
        .body("{}")
        .send()
        .await
        .unwrap();
    let name = push.json::<Value>().await.unwrap()["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("projects/p/messages/"));
    let chat = sandbox
        .client
        .post(sandbox.url("/services/T0/B0/x"))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(chat.text().await.unwrap(), "ok");
    let hook = sandbox
        .client
        .put(sandbox.url("/hooks/mine"))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(hook.status(), StatusCode::OK);
}
