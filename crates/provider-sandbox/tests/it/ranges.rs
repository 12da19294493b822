use std::collections::BTreeMap;

use reqwest::{Response, StatusCode};
use serde_json::json;
use sha1::{Digest, Sha1};

use crate::Sandbox;

impl Sandbox {
    async fn range(&self, prefix: &str, padding: &str) -> Response {
        let request = self.client.get(self.url(&format!("/range/{prefix}")));
        request.header("Add-Padding", padding).send().await.unwrap()
    }

    /// How often each hash of a range was seen, by the rest of it.
    async fn seen(&self, prefix: &str, padding: &str) -> BTreeMap<String, u64> {
        let text = self.range(prefix, padding).await.text().await.unwrap();
        let lines = text.split("\r\n").map(|line| {
            let (suffix, seen) = line.split_once(':').unwrap();
            assert!(suffix.len() == 35 && suffix.bytes().all(|digit| b"0123456789ABCDEF".contains(&digit)));
            (suffix.to_owned(), seen.parse().unwrap())
        });
        lines.collect()
    }
}

fn hash(password: &str) -> (String, String) {
    let mut digits = format!("{:X}", Sha1::digest(password));
    let suffix = digits.split_off(5);
    (digits, suffix)
}

#[tokio::test]
async fn a_common_password_is_in_its_range_and_another_is_not() {
    let sandbox = Sandbox::start();
    for known in ["123456", "password", "qwertyuiop", "Waypost-breached-1!"] {
        let (prefix, suffix) = hash(known);
        assert!(sandbox.seen(&prefix, "false").await[&suffix] > 0, "{known}");
        assert!(
            sandbox.seen(&prefix.to_lowercase(), "true").await[&suffix] > 0,
            "{known}"
        );
    }
    let (prefix, suffix) = hash("correct horse battery");
    let seen = sandbox.seen(&prefix, "false").await;
    assert!(!seen.contains_key(&suffix));
    assert!(seen.len() >= 500 && seen.values().all(|seen| *seen > 0));
    assert_eq!(sandbox.seen(&prefix, "false").await, seen);
}

#[tokio::test]
async fn padding_fills_a_range_up_with_what_nobody_used() {
    let sandbox = Sandbox::start();
    let (prefix, _) = hash("password");
    let (real, padded) = (sandbox.seen(&prefix, "").await, sandbox.seen(&prefix, "true").await);
    assert!((800..=1000).contains(&padded.len()), "{}", padded.len());
    let used: BTreeMap<_, _> = padded.into_iter().filter(|(_, seen)| *seen > 0).collect();
    assert_eq!(used, real);
}

#[tokio::test]
async fn a_range_is_plain_text_and_a_bad_prefix_is_refused() {
    let sandbox = Sandbox::start();
    let answer = sandbox.range("5BAA6", "true").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    for bad in ["5BAA", "5BAA61", "5BAAG"] {
        assert_eq!(
            sandbox.range(bad, "true").await.status(),
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    let requests = sandbox.requests("breached").await;
    assert_eq!(requests.len(), 4);
    assert_eq!(
        (&requests[0]["path"], &requests[0]["answered"]),
        (&json!("/range/5BAA6"), &json!(200))
    );
    assert_eq!(requests[1]["answered"], 400);
}

#[tokio::test]
async fn its_faults_are_its_own() {
    let sandbox = Sandbox::start();
    sandbox.fault("breached", json!({"status": 503})).await;
    assert_eq!(
        sandbox.range("5BAA6", "true").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(sandbox.message().send().await.unwrap().status(), StatusCode::CREATED);
}
