use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha1::Sha1;

use crate::Sandbox;

const DEADLINE: Duration = Duration::from_secs(20);

/// Somebody who wants to be told: the webhook receiver of another sandbox, which records what comes.
struct Receiver(Sandbox);

impl Receiver {
    fn start() -> Self {
        Self(Sandbox::start())
    }

    fn url(&self) -> String {
        self.0.url("/hooks/status?channel=sms")
    }

    /// The callbacks that came, once there are so many.
    async fn callbacks(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let requests = self.0.requests("hooks").await;
            if requests.len() >= count {
                return requests;
            }
            assert!(Instant::now() < deadline, "{requests:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Hands in a message; answers with its id.
async fn send(sandbox: &Sandbox, callback: &str) -> String {
    let answer = sandbox.message_with(callback).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json::<Value>().await.unwrap()["sid"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn form(request: &Value) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{}", request["body"].as_str().unwrap())).unwrap();
    url.query_pairs().into_owned().collect()
}

fn statuses(requests: &[Value]) -> Vec<String> {
    requests
        .iter()
        .map(|request| form(request)["MessageStatus"].clone())
        .collect()
}

#[tokio::test]
async fn who_asks_for_it_is_told_what_became_of_a_message_under_twilio_s_signature() {
    let (sandbox, receiver) = (Sandbox::start(), Receiver::start());
    let sid = send(&sandbox, &receiver.url()).await;
    let callbacks = receiver.callbacks(2).await;
    assert_eq!(statuses(&callbacks), ["sent", "delivered"]);
    for callback in &callbacks {
        assert_eq!(
            (&callback["method"], &callback["path"]),
            (&json!("POST"), &json!("/hooks/status?channel=sms"))
        );
        let form = form(callback);
        let status = form["MessageStatus"].as_str();
        let expected = [
            ("AccountSid", "AC1"),
            ("ApiVersion", "2010-04-01"),
            ("From", "+15550000"),
            ("MessageSid", sid.as_str()),
            ("MessageStatus", status),
            ("To", "+15551234567"),
        ];
        assert_eq!(
            form,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        );

        let mut mac = Hmac::<Sha1>::new_from_slice(b"secret-token").unwrap();
        mac.update(receiver.url().as_bytes());
        for (name, value) in &form {
            mac.update(format!("{name}{value}").as_bytes());
        }
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(callback["headers"]["x-twilio-signature"], signature);
    }
}

#[tokio::test]
async fn a_fault_says_what_is_told_of_one_account_s_messages() {
    let (sandbox, receiver) = (Sandbox::start(), Receiver::start());
    sandbox.fault("sms", json!({"callback": "none"})).await;
    send(&sandbox, &receiver.url()).await;
    sandbox.fault("sms.AC1", json!({"callback": "undelivered"})).await;
    let sid = send(&sandbox, &receiver.url()).await;
    let callbacks = receiver.callbacks(2).await;
    assert_eq!(statuses(&callbacks), ["sent", "undelivered"]);
    let last = form(&callbacks[1]);
    assert_eq!((&last["MessageSid"], last["ErrorCode"].as_str()), (&sid, "30003"));
}

#[tokio::test]
async fn a_callback_that_fails_is_tried_three_times_and_the_next_follows() {
    let (sandbox, receiver) = (Sandbox::start(), Receiver::start());
    receiver.0.fault("hooks", json!({"status": 503})).await;
    send(&sandbox, &receiver.url()).await;
    let sent = receiver.callbacks(3).await;
    assert_eq!(statuses(&sent[..3]), ["sent", "sent", "sent"]);
    let all = receiver.callbacks(6).await;
    assert_eq!(statuses(&all[3..]), ["delivered", "delivered", "delivered"]);
}

#[tokio::test]
async fn nothing_is_told_of_a_message_that_was_not_taken() {
    let (sandbox, receiver) = (Sandbox::start(), Receiver::start());
    sandbox.fault("sms", json!({"status": 500})).await;
    let refused = sandbox.message_with(&receiver.url()).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    sandbox.fault("sms", json!({})).await;
    // Told later than the first would be.
    let sid = send(&sandbox, &receiver.url()).await;
    let callbacks = receiver.callbacks(2).await;
    assert!(callbacks.iter().all(|callback| form(callback)["MessageSid"] == sid));

    let answer = sandbox.message_with("ftp://127.0.0.1/x").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], 21609);
}

#[tokio::test]
async fn callbacks_that_hang_do_not_hold_up_the_end() {
    let (sandbox, receiver) = (Sandbox::start(), Receiver::start());
    receiver.0.fault("hooks", json!({"mode": "hang"})).await;
    send(&sandbox, &receiver.url()).await;
    receiver.callbacks(1).await;
    let Sandbox { running, stop, .. } = sandbox;
    drop(stop);
    tokio::time::timeout(Duration::from_secs(5), running.finished())
        .await
        .unwrap()
        .unwrap();
}
