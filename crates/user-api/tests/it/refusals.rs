//! Input that is refused, and how.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::test_app::{TestApp, ada};

/// A sign-up with one field changed; `None` leaves it out.
fn with(field: &str, value: Option<Value>) -> Value {
    let mut body = ada();
    let fields = body.as_object_mut().unwrap();
    fields.remove(field);
    if let Some(value) = value {
        fields.insert(field.to_owned(), value);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_names_its_field() {
    let app = TestApp::start_embedded().await;
    let long_name = "x".repeat(101);
    let long_password = "x".repeat(257);
    let cases = [
        ("email", None, "required"),
        ("name", None, "required"),
        ("password", None, "required"),
        ("email", Some(json!(1)), "type"),
        ("email", Some(json!(null)), "type"),
        ("email", Some(json!("ada")), "invalid-email"),
        (
            "email",
            Some(json!("a@example.com\r\nBcc: b@example.com")),
            "invalid-email",
        ),
        ("name", Some(json!("")), "too-short"),
        ("name", Some(json!(long_name)), "too-long"),
        ("name", Some(json!("A\nB")), "control-characters"),
        ("password", Some(json!("1234567")), "too-short"),
        ("password", Some(json!(long_password)), "too-long"),
        ("phone", Some(json!("015112345678")), "invalid-phone"),
        ("time_zone", Some(json!("Mars/Olympus")), "unknown-time-zone"),
    ];
    for (field, value, code) in cases {
        let answer = app.sign_up(&with(field, value)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "validation"));
        let errors = answer.json()["errors"].clone();
        assert_eq!(errors.as_array().unwrap().len(), 1, "{errors}");
        assert_eq!(errors[0]["pointer"], format!("/{field}"), "{errors}");
        assert_eq!(errors[0]["code"], code, "{errors}");
    }
    assert_eq!(app.count("users").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_broken_rules_are_named_at_once() {
    let app = TestApp::start_embedded().await;
    let body = json!({"email": "x", "name": "", "password": "x", "phone": "1", "time_zone": "x"});
    let answer = app.sign_up(&body).await;
    assert_eq!(answer.status, 422);
    insta::assert_json_snapshot!("all_violations", answer.snapshot());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_read_is_refused_by_its_kind() {
    let app = TestApp::start_embedded().await;
    let twice = r#"{"email":"a@example.com","email":"b@example.com","name":"A","password":"12345678"}"#;
    let large = format!(r#"{{"email":"{}"}}"#, "x".repeat(70_000));
    let deep = "[".repeat(60_000);
    let cases: [(&str, Vec<u8>, u16, &str); 9] = [
        ("application/json", b"{".to_vec(), 400, "malformed-json"),
        ("application/json", b"".to_vec(), 400, "malformed-json"),
        (
            "application/json",
            b"{\"email\":\"\xff\"}".to_vec(),
            400,
            "malformed-json",
        ),
        ("application/json", deep.into_bytes(), 400, "malformed-json"),
        ("application/json", b"[]".to_vec(), 422, "validation"),
        ("application/json", twice.into(), 422, "validation"),
        ("application/json", large.into_bytes(), 413, "too-large"),
        ("text/plain", b"{}".to_vec(), 415, "unsupported-media-type"),
        (
            "application/x-www-form-urlencoded",
            b"email=a".to_vec(),
            415,
            "unsupported-media-type",
        ),
    ];
    for path in ["/v1/users", "/v1/sessions"] {
        for (content_type, body, status, slug) in cases.clone() {
            let answer = app.post(path, content_type, body.clone()).await;
            let start = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (status, slug),
                "{path} {start}"
            );
        }
    }
    let answer = app.post("/v1/users", "application/json", twice).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/email");
    assert_eq!(answer.json()["errors"][0]["code"], "duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_bounded_too() {
    let app = TestApp::start_embedded().await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    let head =
        "POST /v1/users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
    for _ in 0..100 {
        // The server may hang up as soon as it has seen enough.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_or_method_is_a_problem_as_well() {
    let app = TestApp::start_embedded().await;
    let answer = app.get("/v1/nothing", None).await;
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"));
    let answer = app.get("/v1/users", None).await;
    assert_eq!((answer.status, answer.problem().as_str()), (405, "method-not-allowed"));
    assert_eq!(answer.header("allow"), "POST");
    let answer = app.send(|client| client.delete(app.url("/v1/users/me"))).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
}
