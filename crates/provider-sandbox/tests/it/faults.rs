use std::error::Error;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use crate::Sandbox;

#[tokio::test]
async fn a_status_with_retry_after_holds_until_it_is_switched_off() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"status": 429, "retry_after_s": 7})).await;
    let response = sandbox.message().send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(sandbox.requests("sms").await[0]["answered"], 429);

    sandbox
        .client
        .delete(sandbox.url("/sandbox/faults/sms"))
        .send()
        .await
        .unwrap();
    assert_eq!(sandbox.message().send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_fault_of_one_provider_leaves_the_others_alone() {
    let sandbox = Sandbox::start();
    sandbox.fault("push", json!({"error_rate": 1})).await;
    assert_eq!(sandbox.message().send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_fault_of_one_account_stands_before_that_of_all_while_it_is_set() {
    let sandbox = Sandbox::start();
    let status = async |account: &str| sandbox.message_of(account, &[]).send().await.unwrap().status().as_u16();
    sandbox.fault("sms.AC2", json!({"status": 503})).await;
    assert_eq!((status("AC1").await, status("AC2").await), (201, 503));
    sandbox.fault("sms", json!({"status": 500})).await;
    sandbox.fault("sms.AC1", json!({})).await;
    assert_eq!((status("AC1").await, status("AC2").await), (201, 503));
    assert_eq!(status("AC3").await, 500);
    for name in ["sms.AC1", "sms.AC2"] {
        let url = sandbox.url(&format!("/sandbox/faults/{name}"));
        assert_eq!(sandbox.client.delete(url).send().await.unwrap().status(), 204);
    }
    assert_eq!((status("AC1").await, status("AC2").await), (500, 500));
}

#[tokio::test]
async fn latency_delays_a_good_answer_and_for_ms_ends_a_fault() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"latency_ms": 200, "for_ms": 5000})).await;
    let start = Instant::now();
    assert_eq!(sandbox.message().send().await.unwrap().status(), StatusCode::CREATED);
    assert!(start.elapsed() >= Duration::from_millis(200));

    sandbox.fault("sms", json!({"status": 503, "for_ms": 1})).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(sandbox.message().send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_hang_never_answers() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"mode": "hang"})).await;
    let error = sandbox
        .message()
        .timeout(Duration::from_millis(300))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout());
}

#[tokio::test]
async fn a_reset_breaks_the_connection() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"mode": "reset"})).await;
    let error = sandbox.message().send().await.unwrap_err();
    let mut cause: Option<&dyn Error> = Some(&error);
    let mut reset = false;
    while let Some(error) = cause {
        reset |= error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        cause = error.source();
    }
    assert!(reset, "{error:?}");
}

#[tokio::test]
async fn a_drip_gives_the_head_at_once_and_the_body_too_slowly() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"mode": "drip"})).await;
    let response = sandbox.message().timeout(Duration::from_secs(1)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(response.text().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn an_endless_answer_does_not_end() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"mode": "endless"})).await;
    let mut response = sandbox.message().send().await.unwrap();
    let mut bytes = 0;
    while bytes < 200_000 {
        bytes += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn garbage_is_a_success_that_is_no_json() {
    let sandbox = Sandbox::start();
    sandbox.fault("sms", json!({"mode": "garbage"})).await;
    let response = sandbox.message().send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert!(response.json::<serde_json::Value>().await.is_err());
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused() {
    let sandbox = Sandbox::start();
    for fault in [
        json!({"error_rate": 2}),
        json!({"status": 42}),
        json!({"mode": "sulk"}),
        json!({"latency": 1}),
        json!({"callback": "lost"}),
    ] {
        assert_eq!(
            sandbox.fault("sms", fault).await.status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    for nobody in ["fax", "sms.", "push.AC1", &format!("sms.{}", "x".repeat(65))] {
        assert_eq!(
            sandbox.fault(nobody, json!({})).await.status(),
            StatusCode::NOT_FOUND,
            "{nobody}"
        );
    }
    for number in 0..1_000 {
        let answer = sandbox.fault(&format!("sms.AC{number}"), json!({"status": 503})).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let one_more = sandbox.fault("sms.one-more", json!({})).await;
    assert_eq!(one_more.status(), StatusCode::CONFLICT);
}
